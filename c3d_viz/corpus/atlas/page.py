"""The page of an atlas: layer, feature map, its windows; opened straight from disk.

It loads nothing from any network, and every video by a relative path, when it comes into view.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...methods import METHODS
from ..videos import place_of
from .opened import Atlas, AtlasLayer
from .style import SCRIPT, STYLE
from .tables import FeatureMap, TopWindow, media_file
from .tally import QUANTILES

_SHORT = 3  # windows of a map that are seen before it is unfolded
_MARKS = (0.5, 0.9, 0.99)


def page(atlas: Atlas) -> str:
    """The whole page as text."""
    about = atlas.about
    title = f"What the feature maps of {escape(about['model'])} answer to"
    body = "\n".join(_layer(atlas, number) for number in range(len(atlas.layers)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n{_nav(atlas)}<main>\n"
        f"<header><h1>{title}</h1>{_weights(atlas)}{_facts(atlas)}{_how_to_read(atlas)}</header>\n"
        f"{body}\n{_foot(atlas)}\n</main>\n<script>{SCRIPT}</script></body></html>\n"
    )


def _nav(atlas: Atlas) -> str:
    links = "".join(
        f'<a href="#layer-{number}">{escape(layer.name)}</a>'
        for number, layer in enumerate(atlas.layers)
    )
    return (
        f'<nav aria-label="Layers">{links}<label>Order <select id="order">'
        '<option value="place">like maps together</option><option value="channel">by number'
        '</option><option value="value">strongest first</option></select></label>'
        '<button type="button" id="play" aria-pressed="true">Pause videos</button></nav>\n'
    )


def _weights(atlas: Atlas) -> str:
    line = f"<p>Weights in use: <strong>{escape(atlas.about['weights'])}</strong></p>"
    trained = atlas.about.get("trained")
    if trained is None:
        line += (
            '<p class="warning" role="note"><strong>Nothing says whether this network is trained.'
            "</strong> Its own code gave the weights.</p>"
        )
    elif not trained:
        line += (
            '<p class="warning" role="note"><strong>This network is untrained.</strong> What its '
            "maps answer to is what the architecture alone does, not anything learned.</p>"
        )
    return line


def _facts(atlas: Atlas) -> str:
    about = atlas.about
    maps = sum(layer.channels for layer in atlas.layers)
    left = about.get("left_out", 0)
    out = f' · <a href="errors.jsonl">{left} left out</a>' if left else ""
    return (
        f'<p class="facts">{about["videos"]:,} videos, {about["windows"]:,} windows of '
        f"{about['input']['frames']} frames, one every {about['stride']} frames · {maps:,} feature "
        f'maps{out} · <a href="index.parquet">index.parquet</a> · '
        f'<a href="atlas.json">atlas.json</a></p>'
    )


def _how_to_read(atlas: Atlas) -> str:
    about = atlas.about
    method = METHODS[about["method"]]
    each = "one window" if about["per_video"] == 1 else f"{about['per_video']} windows"
    return (
        "<details><summary>How to read this page</summary><p>A feature map answers somewhere in "
        "every window of every video. Here are the windows where its highest answer is highest, at "
        f"most {each} of a video. In each row: the frame as the network sees it, with a white box "
        "around the part that reaches the map's strongest position; that part, enlarged; and "
        "beside it the way back to the pixels. Where all of the frame reaches it, the first is "
        "left out. Only frames that reach it are played. "
        f"{escape(method.title)}: {escape(method.sentence)} Grey is zero.</p>"
        "<p>The numbers are activations. Under each map stands what half of all windows, "
        "90 and 99 in a hundred stay below: the yardstick of any other clip. A map that answers to "
        "like windows stands beside it; <em>like</em> names the three most correlated ones.</p>"
        "<p>What a map answers to most is not all that it answers to, and a corpus can only show "
        "what is in it.</p></details>"
    )


def _layer(atlas: Atlas, number: int) -> str:
    layer = atlas.layers[number]
    sees = "the whole clip"
    if layer.field is not None:
        t, h, w = layer.field
        sees = f"{t} frames × {h} × {w} pixels"
    cards, silent = [], []
    for channel in atlas.order(layer.name):
        tops = atlas.top(layer.name, channel)
        if tops:
            known = atlas.map(layer.name, channel)
            cards.append(_card(number, layer, known, tops, atlas.about["input"]["stride"]))
        else:
            silent.append(channel)
    never = ""
    if silent:
        listed = ", ".join(map(str, sorted(silent)))
        never = f'<p class="facts">Never above 0 in this corpus: {listed}.</p>'
    return (
        f'<section id="layer-{number}"><h2>{escape(layer.name)}</h2><p>{layer.channels} feature '
        f"maps; a unit sees {sees}.</p>{never}"
        f'<div class="maps">{"".join(cards)}</div></section>'
    )


def _card(
    number: int, layer: AtlasLayer, known: FeatureMap, tops: Sequence[TopWindow], every: int
) -> str:
    name = f"{layer.name} {known.channel}"
    anchor = f"m{number}-{known.channel}"
    rows = "".join(_row(top, every) for top in tops)
    more = ""
    if len(tops) > _SHORT:
        more = (
            f'<button type="button" class="more" aria-expanded="false" aria-controls="{anchor}-w">'
            f"All {len(tops)}</button>"
        )
    alike = " ".join(f'<a href="#m{number}-{c}">{c}</a>' for c, _ in known.alike)
    like = f"<span>like {alike}</span>" if alike else ""
    return (
        f'<article id="{anchor}" data-place="{known.place}" data-channel="{known.channel}" '
        f'data-value="{tops[0].value:z.6g}"><h3>{escape(name)}{more}</h3>'
        f'<div class="windows short" id="{anchor}-w" style="--tiles:{layer.tiles};'
        f'--rows:{len(tops)};--short:{min(len(tops), _SHORT)}">'
        f'<video data-src="{media_file(number, known.channel)}" muted loop playsinline '
        f'preload="none" aria-label="{escape(name)}: the windows it answers to most"></video>'
        f"<ol>{rows}</ol></div><footer>{_yardstick(known)}{like}</footer></article>"
    )


def _row(top: TopWindow, every: int) -> str:
    first, last = (top.start + every * n for n in top.frames)
    text = f"{top.path}, window from frame {top.start}"
    if top.at:
        text += f", strongest at time {top.at[0]}, row {top.at[1]}, column {top.at[2]}"
    return (
        f'<li title="{escape(text)}"><b>{top.value:z.3g}</b> {escape(place_of(top.path).name)}<br>'
        f"<small>frames {first}–{last}</small></li>"
    )


def _yardstick(known: FeatureMap) -> str:
    values = [float(known.quantiles[round(q * (len(QUANTILES) - 1))]) for q in _MARKS]
    names = [f"{q:.0%}".replace("%", " %") for q in _MARKS]
    parts = [f"{name} ≤ <b>{value:z.3g}</b>" for name, value in zip(names, values, strict=True)]
    return f"<span>{' · '.join(parts)}</span>"


def _foot(atlas: Atlas) -> str:
    versions = atlas.about.get("versions") or {}
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    command = escape(str(atlas.about.get("command", "")))
    return (
        f'<footer class="foot"><p>Made by</p><pre><code>{command}</code></pre>'
        f"<p>{escape(listed)}</p></footer>"
    )
