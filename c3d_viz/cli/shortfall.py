"""What an export took of the video, and what it has less of than was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..weights import NetworkChoice

_ROUTINE = ("settings: ", "the class activation map has")  # true of every map of a method
_FEW = 6  # notes said one by one


def frames_taken(manifest: dict[str, Any]) -> str:
    """Which frames were looked at, as no start was named perhaps."""
    asked, windows = manifest["parameters"], manifest["windows"]
    first, last = windows[0]["frames"][0], windows[-1]["frames"][-1]
    hint = "" if asked["start"] is not None else "; --start N takes others"
    return f"frames {first}-{last} of {manifest['clip']['frames']}{hint}"


def less_than_asked(manifest: dict[str, Any]) -> list[str]:
    """What there is less of than was asked for, a line each."""
    asked, windows = manifest["parameters"], manifest["windows"]
    lines = [f"left out: {why}" for why in manifest.get("left_out", {}).values()]
    lines += [
        f"left out: {why}" for x in windows[0]["layers"] for why in x.get("left_out", {}).values()
    ]
    if len(windows) < asked["windows"]:
        lines.append(f"windows: {len(windows)}, not {asked['windows']}: the video has no more room")
    few = [x for x in windows[0]["layers"] if len(x["units"]) < asked["top"]]
    if few and not asked["channel"]:
        layers = ", ".join(f"{x['layer']} has {x['shape'][0]}" for x in few)
        lines.append(f"maps: all of a layer where it has fewer than {asked['top']}: {layers}")
    return lines


def noted(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """What the pages note of clips and maps, a line each, with whose notes they are."""
    found: dict[str, dict[str, None]] = {}
    for manifest in (manifest for manifest in manifests if "clip" in manifest):
        clip, windows = manifest["clip"], manifest["windows"]
        for note in [*clip.get("notes", ()), *(n for w in windows for n in w.get("notes", ()))]:
            found.setdefault(note, {})[clip["name"]] = None
        for layer in (layer for window in windows for layer in window["layers"]):
            for of_maps in (n for unit in layer["units"] for n in unit.get("notes", {}).values()):
                for note in (n for n in of_maps if not n.startswith(_ROUTINE)):
                    found.setdefault(note, {})[layer["layer"]] = None
    lines = [f"note: {note.rstrip('.')} ({', '.join(where)})" for note, where in found.items()]
    more = [f"note: {len(lines) - _FEW} more on the page"] if len(lines) > _FEW else []
    return lines[:_FEW] + more


def walked_by_autograd(network: NetworkChoice, manifest: dict[str, Any]) -> list[str]:
    """Which layers took longer than they might, and why, a line each reason."""
    from ..engine import slow_layers

    net, spec = network.load()
    windows = manifest.get("windows", [])
    layers = [x["layer"] for window in windows[:1] for x in window["layers"]]
    reasons: dict[str, list[str]] = {}
    for layer, reason in slow_layers(net, spec.input.shape, layers).items():
        reasons.setdefault(reason, []).append(layer)
    return [f"walked by autograd: {', '.join(v)}: {reason}" for reason, v in reasons.items()]
