"""The Chromium of the tests marked ``browser``: where it is and how it is started."""

from __future__ import annotations

import os
import shutil

FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",  # a camera that is always there
    "--use-fake-ui-for-media-stream",  # and always allowed
]


def chromium() -> str | None:
    """Path of a Chromium, or None."""
    given = os.environ.get("C3D_VIZ_BROWSER")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return given or next((path for name in names if (path := shutil.which(name))), None)
