"""The page: one HTML file with every picture and film in it, the numbers, the manifest."""

from __future__ import annotations

import base64
import dataclasses
import math
import os
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from ...files import write_json, write_text
from ...nets import ModelSpec
from ...progress import Progress
from ...render import encode_png, encode_video
from ..folder import check_new, command_line, result_folder
from ..pieces import kept_beside
from ..preferred.page import stimulus_page
from ..preferred.run import FPS, stimulus_notes
from ..tuning.measures import INDICES
from .evidence import Evidence, ReportSettings, gather
from .parts import KERNEL_NOTE, concept_rows, films, index_rows, kernel_picture, tuning_pictures
from .summary import caution, sentence

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1100px;padding:1.5rem;color:#1c1f24;
background:#fff}h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p.weights{color:#5c616b;margin:.2rem 0 1rem}p.sum{font-size:1.15rem;border-left:4px solid #0072b2;
padding-left:1rem}img,video{max-width:100%;height:auto}figure{margin:.5rem 1rem .5rem 0;display:
inline-block;vertical-align:top}.wide{overflow-x:auto}.wide img{min-width:760px}
figcaption{color:#5c616b;font-size:.9rem}table{border-collapse:
collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #d5d9df;text-align:left}
@media(prefers-color-scheme:dark){body{background:#16191e;color:#e4e7eb}p.weights,figcaption{color:
#a3a9b3}td,th{border-color:#3a4049}}
"""


def write_report(
    out: str | os.PathLike[str],
    settings: ReportSettings,
    progress: Progress | None = None,
    *,
    loaded: tuple[nn.Module, ModelSpec] | None = None,
    seen: Sequence[tuple[str, npt.NDArray[np.uint8]]] = (),
) -> str:
    """Measure one channel and write its page to the new folder ``out``.

    ``index.html`` needs no other file; ``report.json`` has the numbers; ``manifest.json``.

    Args:
        loaded: the settings' network, where it is loaded already.
        seen: films (T, H, W, 3) of clips that it answers to, from elsewhere, and what they are.

    Returns:
        The sentence that sums the channel up.

    Raises:
        ExportError: ``out`` is in the way. VizError and others: as ``gather``.
    """
    folder = check_new(out)
    parameters = {**dataclasses.asdict(settings), "network": settings.network.to_json()}
    words = _words(settings)
    with kept_beside(folder) as keep:
        evidence = gather(settings, progress, loaded=loaded, keep=keep)
        said = sentence(evidence, settings.layer, settings.channel)
        about = settings.network, evidence.spec, parameters
        with result_folder(folder, words, *about) as (place, _):
            write_text(place / "index.html", page(evidence, settings, said, seen))
            write_json(place / "report.json", numbers(evidence, settings.channel, said))
    return said


def numbers(evidence: Evidence, channel: int, said: str) -> dict[str, Any]:
    """What the page says, as numbers; null where something is not defined."""
    assert evidence.tuning is not None
    assert evidence.stimuli is not None
    tuning: dict[str, Any] = {
        name: {
            "value": _number(getattr(evidence.tuning, name)[channel]),
            "untrained_channels_as_high": _number(evidence.rank(name, channel).share),
        }
        for name in INDICES
    }
    for name in ("direction", "speed", "wavelength", "response"):
        tuning[name] = _number(getattr(evidence.tuning, name)[channel])
    concepts = None
    if evidence.concepts is not None:
        best = int(evidence.concepts.best[channel])
        concepts = {
            "concept": evidence.concept_names[best],
            "score": _number(evidence.concepts.score[channel]),
            "iou": _number(evidence.concepts.iou[channel, best]),
            "chance": _number(evidence.concepts.chance[channel, best]),
            "untrained_channels_as_high": _number(evidence.concept_rank(channel).share),
        }
    answers = [
        {"name": a.name, "kind": a.kind, "mean": a.mean, "peak": a.peak}
        for a in evidence.stimuli.answers
    ]
    return {"sentence": said, "tuning": tuning, "concept": concepts, "answers": answers}


def page(
    evidence: Evidence,
    settings: ReportSettings,
    said: str,
    seen: Sequence[tuple[str, npt.NDArray[np.uint8]]] = (),
) -> str:
    """The whole page as text."""
    layer, channel, weights = settings.layer, settings.channel, evidence.spec.weights
    name = escape(f"{layer} channel {channel}")
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="weights">Weights in use: <strong>{escape(weights)}</strong></p>',
        f'<p class="sum">{escape(said)}</p>',
    ]
    kernel = kernel_picture(evidence, channel)
    if kernel is not None:
        picture = _picture(kernel, "the kernel, frame by frame")
        parts.append(f"<h2>Its kernel</h2>{picture}<p class='weights'>{KERNEL_NOTE}</p>")
    parts.append(_stimulus(evidence, settings))
    parts.append(_tuning(evidence, settings))
    parts.append(_concepts(evidence, channel))
    if seen:
        films_of = _figures([(text, encode_video(frames, FPS)) for text, frames in seen])
        parts.append(f"<h2>Clips it answers to most</h2>{films_of}")
    parts.append(f"<p class='weights'>{caution(settings.controls)}</p>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{name}</title><style>{_STYLE}'
        "</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _stimulus(evidence: Evidence, settings: ReportSettings) -> str:
    found = evidence.stimuli
    assert found is not None
    notes = stimulus_notes(settings.stimulus(), found)
    sheet = encode_png(stimulus_page(found.answers, "", evidence.spec.weights, notes))
    clips = _figures(films(evidence))
    whole = f"<div class='wide'>{_picture(sheet, 'films and answers')}</div>"
    return f"<h2>The film it prefers</h2>{clips}{whole}"


def _tuning(evidence: Evidence, settings: ReportSettings) -> str:
    pictures = "".join(
        f"<figure>{_picture(data, text)}</figure>"
        for text, data in tuning_pictures(evidence, settings.channel)
    )
    rows = "".join(
        f"<tr><td>{name}</td><td>{_shown(value)}</td><td>{_percent(rank)}</td></tr>"
        for name, value, rank in index_rows(evidence, settings.channel)
    )
    head = "<tr><th>index</th><th>value</th><th>untrained channels as high</th></tr>"
    return f"<h2>Direction and speed</h2>{pictures}<table>{head}{rows}</table>"


def _concepts(evidence: Evidence, channel: int) -> str:
    if evidence.concepts is None:
        return "<h2>Concepts</h2><p>This layer has no places in the clip, so no overlap.</p>"
    rows = "".join(
        f"<tr><td>{escape(label)}</td><td>{iou:.3f}</td><td>{chance:.3f}</td></tr>"
        for label, iou, chance in concept_rows(evidence, channel)
    )
    head = "<tr><th>label</th><th>IoU</th><th>with labels of other clips</th></tr>"
    note = "First the label that other clips chose, then those furthest above chance."
    return f"<h2>Concepts</h2><table>{head}{rows}</table><p class='weights'>{note}</p>"


def _figures(shown: Sequence[tuple[str, bytes]]) -> str:
    """Films and what they are."""
    return "".join(
        f"<figure>{_film(film)}<figcaption>{escape(text)}</figcaption></figure>"
        for text, film in shown
    )


def _picture(data: bytes, what: str) -> str:
    text = base64.b64encode(data).decode()
    return f'<img src="data:image/png;base64,{text}" alt="{escape(what)}">'


def _film(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    source = f"data:video/mp4;base64,{text}"
    return f'<video src="{source}" autoplay loop muted playsinline controls></video>'


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"


def report_command(settings: ReportSettings, out: str) -> str:
    """The command line that writes this report."""
    return command_line(_words(settings), settings.network, out)


def _words(settings: ReportSettings) -> list[str]:
    words = ["units", "report", "--layer", settings.layer, "--channel", str(settings.channel)]
    words += ["--controls", str(settings.controls), "--steps", str(settings.steps)]
    for clip in settings.clips:
        words += ["--clip", clip]
    words += [] if settings.library is None else ["--library", settings.library]
    words += [] if settings.atlas is None else ["--atlas", settings.atlas]
    words += ["--coarse"] if settings.coarse else []
    return [*words, "--device", settings.device]
