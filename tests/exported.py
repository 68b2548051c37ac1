"""What exports are compared by: their files, their manifest, the links of their page."""

from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from c3d_viz.nets.spec import ModelSpec

Loaded = tuple[Any, ModelSpec]
LINE = "random weights (seed 0), untrained"


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def manifest_of(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return value


class StopError(Exception):
    """Stands for a pulled plug."""


def links(page: Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Every file the page refers to, and every element's attributes."""
    found: list[str] = []
    elements: list[dict[str, str | None]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = {"": tag, **dict(attrs)}
            elements.append(values)
            target = values.get("src") or values.get("href")
            if target and not target.startswith("#"):
                found.append(unquote(target))

    Reader().feed(page.read_text(encoding="utf-8"))
    return found, elements
