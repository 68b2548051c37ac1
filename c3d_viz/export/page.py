"""The page of an export: one HTML file beside its pictures and videos, opened straight from disk.

It loads nothing from any network, and every picture and video by a relative path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from ..methods import METHODS
from .artefacts import ARTEFACTS
from .style import SCRIPT, STYLE

_PLAIN = {
    "conv1a": "Edges, colours and their first changes",
    "conv2a": "Moving edges and blobs",
    "conv3a": "Corners and textures",
    "conv3b": "Moving corners, textures, parts",
    "conv4a": "Parts of objects",
    "conv4b": "Parts of objects and their paths",
    "conv5a": "Objects and motions",
    "conv5b": "Whole objects and motions: the layer of the paper's Figure 4",
    "fc6": "The descriptor of the whole clip",
    "fc7": "The descriptor, one step further",
    "fc8": "One number for each class",
}


def files_of(manifest: dict[str, Any]) -> Iterator[str]:
    """Every file the manifest vouches for, relative to the export's folder."""
    yield "index.html"
    for window in manifest["windows"]:
        yield window["input"]
        for layer in window["layers"]:
            yield layer["activations"]
            if layer["activation_sheet"]:
                yield layer["activation_sheet"]
            yield from layer["sheets"].values()
            for unit in layer["units"]:
                for files in unit["files"].values():
                    yield from files.values()


def page(manifest: dict[str, Any]) -> str:
    """The whole page as text."""
    clip, model = manifest["clip"], manifest["model"]
    name = escape(clip["name"])
    title = f"What {escape(model['name'])} sees in {name}"
    body = [
        f"<header><h1>{title}</h1>{weights_line(model['weights'], model['trained'])}"
        f"{_facts(manifest)}</header>",
        _how_to_read(manifest),
    ]
    several = len(manifest["windows"]) > 1
    for window in manifest["windows"]:
        body.append(_window(window, manifest, several))
    body.append(_foot(manifest))
    return document(title, _nav(manifest), body)


def document(title: str, nav: str, body: Sequence[str]) -> str:
    """A whole page of an export, as text; what is given is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{nav}<main>\n" + "\n".join(body) + "\n</main>\n"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def weights_line(weights: str, trained: bool | None) -> str:
    """What the weights are, and a warning where they are not known to be trained; HTML."""
    line = f'<p class="weights">Weights in use: <strong>{escape(weights)}</strong></p>'
    if trained:
        return line
    if trained is None:
        return line + (
            '<p class="warning" role="note"><strong>Nothing says whether this network is trained.'
            "</strong> Its own code gave the weights; c3d-viz took them as they are. Give a "
            "state_dict with <code>--weights</code>.</p>"
        )
    return line + (
        '<p class="warning" role="note"><strong>This network is untrained.</strong> Its pictures '
        "show what the architecture alone does with the clip, not anything learned. Give trained "
        "weights with <code>--weights</code>.</p>"
    )


def _facts(manifest: dict[str, Any]) -> str:
    clip, wanted = manifest["clip"], manifest["parameters"]
    size = f"{clip['width']} × {clip['height']}, {clip['frames']} frames, {clip['fps']:.4g} fps"
    methods = ", ".join(METHODS[m].title.lower() for m in wanted["methods"])
    return (
        f'<p class="facts">{escape(clip["name"])} ({size}) · {methods} · '
        f'<a href="manifest.json">manifest.json</a></p>'
    )


def _nav(manifest: dict[str, Any]) -> str:
    links = []
    several = len(manifest["windows"]) > 1
    for window in manifest["windows"]:
        if several:
            links.append(f'<a href="#w{window["start"]}">frame {window["start"]}</a>')
        else:
            links += [
                f'<a href="#{_anchor(window, layer)}">{escape(layer["layer"])}</a>'
                for layer in window["layers"]
            ]
    return (
        '<nav aria-label="Layers">'
        + "".join(links)
        + '<button type="button" id="play" aria-pressed="true">Pause videos</button></nav>\n'
    )


def _how_to_read(manifest: dict[str, Any]) -> str:
    items = "".join(
        f"<dt>{escape(METHODS[m].title)}</dt><dd>{escape(METHODS[m].sentence)} "
        f"<small>{escape(METHODS[m].paper)}</small></dd>"
        for m in manifest["parameters"]["methods"]
    )
    scale = manifest["parameters"]["scale"]
    frames = manifest["model"]["input"]["frames"]
    one = (
        f"One colour scale holds for all {frames} frames of a map, so frames can be compared."
        if scale == "clip"
        else "<strong>Each frame has a colour scale of its own:</strong> do not compare frames."
    )
    return (
        "<details><summary>How to read this page</summary><p>A network of layers watches "
        f"{frames} frames at a time. Each layer has feature maps (channels) that answer to some "
        "pattern. For the channels that answer most strongly, the answer at its strongest position "
        "is sent back to the pixels: what lights up is what that channel saw. Deeper layers see "
        "more of the picture and more frames; where a unit can see only a part, a white frame "
        f"marks it in those frames. Videos run at half speed. {one}</p><dl>{items}</dl></details>"
    )


def _anchor(window: dict[str, Any], layer: dict[str, Any]) -> str:
    return escape(f"w{window['start']}-{layer['layer']}")


def _window(window: dict[str, Any], manifest: dict[str, Any], several: bool) -> str:
    frames = window["frames"]
    height, width = manifest["model"]["input"]["crop"]
    first, last = frames[0], frames[-1]
    every = "" if last - first == len(frames) - 1 else f", one in {frames[1] - first}"
    seconds = f"{first / window['fps']:.2f}-{(last + 1) / window['fps']:.2f} s"
    head = (
        f"Frames {first}-{last}{every} ({seconds})"
        if several
        else "The clip as the network sees it"
    )
    parts = [
        f'<section class="window" id="w{first}"><h2>{head}</h2><div class="given">',
        _video(
            window["input"], f"The {len(frames)} frames the network was given, {first} to {last}"
        ),
        f"<div><p>Frames {first}-{last}{every} ({seconds}), resized and cropped to "
        f"{width} × {height} pixels.</p>{_notes(window, manifest)}"
        f"{_predictions(window, manifest)}</div></div>",
    ]
    if several:
        parts.append('<p class="jump">')
        parts += [
            f'<a href="#{_anchor(window, layer)}">{escape(layer["layer"])}</a> '
            for layer in window["layers"]
        ]
        parts.append("</p>")
    parts += [_layer(window, layer, manifest) for layer in window["layers"]]
    return "".join(parts) + "</section>"


def _notes(window: dict[str, Any], manifest: dict[str, Any]) -> str:
    """What is to be known of these frames: damage, a file cut short, colours not mapped."""
    lines = dict.fromkeys((*manifest["clip"].get("notes", ()), *window.get("notes", ())))
    return "".join(f'<p class="note">{escape(line)}</p>' for line in lines)


def _predictions(window: dict[str, Any], manifest: dict[str, Any]) -> str:
    if not window["predictions"]:
        return (
            "<p>No class names: the weights in use carry none.</p>"
            if manifest["model"]["trained"]
            else ""
        )
    rows = "".join(
        f"<tr><td>{escape(str(p['class']))}</td><td class=num>{100 * p['probability']:.1f} %</td>"
        "</tr>"
        for p in window["predictions"]
    )
    return f"<table><caption>Likeliest classes</caption>{rows}</table>"


def _layer(window: dict[str, Any], layer: dict[str, Any], manifest: dict[str, Any]) -> str:
    name = escape(layer["layer"])
    shape = " × ".join(map(str, layer["shape"]))
    plain = f"{_PLAIN[layer['layer']]}. " if layer["layer"] in _PLAIN else ""
    field = layer["receptive_field"]
    sees = "the whole clip"
    if field is not None:
        t, h, w = field["size"]
        sees = f"{t} frames × {h} × {w} pixels"
        given = manifest["model"]["input"]
        if t >= given["frames"] and h >= given["crop"][0]:
            sees = f"the whole clip ({sees} and beyond its border)"
    parts = [
        f'<section class="layer" id="{_anchor(window, layer)}"><h3>{name}</h3>'
        f"<p>{plain}Output {shape}; one unit sees {sees}.</p>"
    ]
    for method in manifest["parameters"]["methods"]:
        title = escape(METHODS[method].title)
        if method in layer.get("left_out", {}):
            why = escape(layer["left_out"][method])
            parts.append(f'<h4>{title}</h4><p class="note">Left out: {why}</p>')
            continue
        parts.append(f"<h4>{title}</h4>{_measured(layer['layer'], method, manifest)}")
        parts.append("<div class=units>")
        parts += [
            _unit(layer, unit, method, manifest["parameters"]["at"]) for unit in layer["units"]
        ]
        parts.append("</div>")
        sheet = quote(layer["sheets"][method])
        text = f"{name}, {title}: the strongest feature maps side by side, six frames each"
        parts.append(_picture("Side by side", sheet, text))
    if layer["activation_sheet"]:
        parts.append(
            _picture(
                "Activation maps: what the layer answers, at its own resolution",
                quote(layer["activation_sheet"]),
                f"Activation maps of {name}, strongest channels first",
            )
        )
    parts.append(f'<p class=files><a href="{quote(layer["activations"])}">activations.npz</a></p>')
    return "".join(parts) + "</section>"


def _measured(layer: str, method: str, manifest: dict[str, Any]) -> str:
    """What ``c3d-viz check`` found for this network, layer and method."""
    lines = manifest.get("trust", {}).get(layer, {}).get(method, ())
    if not lines:
        return ""
    return f'<p class="note">May it be believed? Measured: {escape("; ".join(lines))}.</p>'


def _unit(layer: dict[str, Any], unit: dict[str, Any], method: str, at: object) -> str:
    files = {key: quote(path) for key, path in unit["files"][method].items()}
    where = ""
    if unit["at"]:
        t, h, w = unit["at"]
        where = f"<br>strongest at time {t}, row {h}, column {w}"
        if len(layer["shape"]) == 4:
            where += " of " + " × ".join(map(str, layer["shape"][1:]))
    elif isinstance(at, str):
        where = f"<br>{escape(at)} over all its positions"
    name = f"{layer['layer']} channel {unit['channel']}"
    known = f" ({escape(unit['name'])})" if unit["name"] else ""
    caption = f"<strong>channel {unit['channel']}{known}</strong>, "
    caption += f"activation {unit['activation']:z.3g}"
    if unit["activation"] == 0:
        caption += " (it did not answer)"
    for note in unit.get("notes", {}).get(method, ()):
        where += f'<br><span class="note">{escape(note)}</span>'
    links = " · ".join(f'<a href="{files[a.key]}">{a.link}</a>' for a in ARTEFACTS if a.link)
    said = f"{METHODS[method].title} of {escape(name)} laid over the clip"
    if unit.get("enlarged"):
        said = f"What {escape(name)} sees, enlarged, and what is sent back; below, {said}"
        where += "<br>above, what it sees and what is sent back (grey is zero); below, where"
    return (
        f"<figure>{_video(files['overlay'], said)}"
        f"<figcaption>{caption}{where}<br>{links}</figcaption></figure>"
    )


def _video(path: str, text: str) -> str:
    return (
        f'<video src="{path}" width="336" height="336" loop muted playsinline controls '
        f'preload="metadata" aria-label="{text}"></video>'
    )


def _picture(title: str, path: str, text: str) -> str:
    return (
        f"<details><summary>{title}</summary>"
        f'<a href="{path}"><img src="{path}" loading="lazy" alt="{text}"></a></details>'
    )


def _foot(manifest: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())
    return (
        f"<footer><p>Made by</p><pre><code>{escape(manifest['command'])}</code></pre>"
        f"<p>{escape(versions)}</p></footer>"
    )
