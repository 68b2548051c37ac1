"""What is believed of a manifest that lies in a folder: it may come from anybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .artefacts import ARTEFACTS

Names = Callable[[str], bool]  # whether a name, relative to the export, is one of a kind
_MOST = {"layers": 2000, "methods": 100}
_UNIT_FILES = "|".join(re.escape(artefact.file) for artefact in ARTEFACTS)
_BELOW = (
    r"input\.mp4|(?P<layer>[^/]+)/(?:activations\.(?:npz|png)"
    rf"|(?P<method>[^/]+)/(?:sheet\.png|ch\d+/(?:{_UNIT_FILES})))"
)
_FILE = re.compile(rf"(?:window-\d+/)?(?:{_BELOW})")
_FOLDER = re.compile(
    r"window-\d+|(?:window-\d+/)?(?P<layer>[^/]+)(?:/(?P<method>[^/]+)(?:/ch\d+)?)?"
)
# What of a finished one is read, here and by those who tell about it. A list has one entry at
# least; a name with ? may be missing; a tuple has what a value may be.
_FINISHED = {
    "parameters": {
        "start": (int, type(None)),
        "windows": int,
        "top": int,
        "channel": (list, type(None)),
    },
    "clip": {"frames": int, "width": int, "height": int},
    "model": {"weights": str},
    "left_out?": {str: str},
    "files?": {str: str},
    "windows": [
        {
            "frames": [int],
            "input": str,
            "layers": [
                {
                    "layer": str,
                    "shape": [int],
                    "activations": str,
                    "activation_sheet": (str, type(None)),
                    "sheets": {str: str},
                    "units": [{"files": {str: {str: str}}}],
                    "left_out?": {str: str},
                }
            ],
        }
    ],
}


def check_manifest(manifest: dict[str, Any], *, finished: bool) -> None:
    """Refuse a manifest of which something that is read later is missing or of another kind.

    Args:
        finished: it vouches for the files of an export; else it is that of a stopped one.

    Raises:
        ValueError: says what is damaged.
    """
    for key in ("clip", "model", "versions"):
        _demand(isinstance(manifest.get(key, {}), dict), f"{key} is no object")
    _demand(isinstance(manifest.get("parameters"), dict), "parameters is no object")
    layers = _names(manifest, "layers")
    _names(manifest, "methods")
    if finished:
        _check(manifest, _FINISHED, "")
        for window in manifest["windows"]:
            for layer in window["layers"]:
                _demand(layer["layer"] in layers, "a window has a layer that was not asked for")


def places(manifest: dict[str, Any], own: tuple[str, ...]) -> tuple[Names, Names]:
    """What is the name of a file of this export, and what that of a folder.

    Args:
        own: files that every export has at its root.
    """
    known = {"layer": _names(manifest, "layers"), "method": _names(manifest, "methods")}

    def fits(pattern: re.Pattern[str], name: str) -> bool:
        found = pattern.fullmatch(name)
        return found is not None and all(
            part is None or part in known[kind] for kind, part in found.groupdict().items()
        )

    return lambda name: name in own or fits(_FILE, name), lambda name: fits(_FOLDER, name)


def _names(manifest: dict[str, Any], key: str) -> set[str]:
    """Names of folders that the export made: single words, no way out of it."""
    names = manifest["parameters"].get(key)
    _demand(isinstance(names, list), f"{key} is no list")
    _demand(len(names) <= _MOST[key], f"{key} holds more than {_MOST[key]} names")
    for name in names:
        fits = isinstance(name, str) and re.fullmatch(r"[^./\\][^/\\]{0,199}", name)
        _demand(fits and name.isprintable(), f"{key} holds something else than names")
    return set(names)


def _check(value: Any, wanted: Any, where: str) -> None:
    """Hold a value against the kinds that ``_FINISHED`` is written in."""
    allowed = wanted if isinstance(wanted, tuple) else (type(wanted), wanted)
    if type(value) not in allowed:
        raise ValueError(f"{where} is not what an export writes")
    if isinstance(wanted, list):
        _demand(value, f"{where} is empty")
        for number, item in enumerate(value):
            _check(item, wanted[0], f"{where}[{number}]")
    elif isinstance(wanted, dict) and str in wanted:
        for item in value.values():
            _check(item, wanted[str], f"an entry of {where}")
    elif isinstance(wanted, dict):
        for name, inner in wanted.items():
            key = name.removesuffix("?")
            if key in value or key == name:
                _check(value.get(key), inner, f"{where}.{key}".lstrip("."))


def _demand(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
