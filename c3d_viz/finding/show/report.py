"""report.html, result.json, curves.npz and the figures of a run."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np

from ...files import make_folder, write_bytes, write_json, write_npz, write_text
from ...render import DARK, LIGHT, REPORT_STYLE, png, themed
from ..judge.analysis import Analysis
from ..measure.study import Study
from ..types import DECIDING, TRAINED
from .plots import figures

_CAPTIONS = {
    "effect": "T, the trained network's positional part less that of the untrained ones, and the "
    "controls that must be flat. Supported needs T right of 0 under both methods.",
    "curves": "What the back-projections follow, frame by frame. Mean over clips (and networks), "
    "band: two standard errors over clips. The dotted line divides the halves.",
    "clips": "Every clip. P is what the network does by position in the clip, K what the video "
    "does. Bars: range of P over the untrained networks.",
    "energy": "Where in time the back-projection has its mass. The thin line is an even share. On "
    "a frozen clip the frames are equal, so what is left is the network's own.",
    "depth": "Does the map depend on what was learned? Layers are made random from conv5b down; "
    "the dashed line is the limit at full depth. Paths: what every network of this shape shares.",
    "units": "What the channels of each layer share over pairs of synthetic clips (Kowal et al. "
    "2022): motion only (dynamic), appearance only (static), both (joint).",
}


def write_report(out: Path, study: Study, analysis: Analysis, *, seconds: float) -> None:
    """Write everything into ``out``; report.html last."""
    make_folder(out)
    write_json(out / "result.json", plain(analysis.data))
    write_npz(out / "curves.npz", _curves(study))
    pictures = []
    for name, draw in figures(study, analysis).items():
        light, dark = png(draw(LIGHT)), png(draw(DARK))
        write_bytes(out / f"{name}.png", light)
        pictures.append(themed(light, dark, _CAPTIONS[name]))
    write_text(out / "report.html", page(study, analysis, pictures, seconds))


def _curves(study: Study) -> dict[str, np.ndarray]:
    """A, M and E of every network and window: ``<network>/<window>/<A|M|E>`` (G, m, U, T)."""
    return {
        f"{net.name}/{window.name}/{key}": study.curves(net.name, window)[key]
        for net in study.networks
        for window in study.windows
        for key in ("A", "M", "E")
    }


def plain(value: object) -> object:
    """What JSON can hold: null for what is undefined, lists for arrays, six digits a number."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value


def page(study: Study, analysis: Analysis, pictures: list[str], seconds: float) -> str:
    """The whole report as one HTML file without outside references."""
    v, data = analysis.verdict, analysis.data
    model: Any = data["model"]
    settings = study.settings
    videos = len({window.cluster for window in study.windows})
    answer, _, rest = v.sentence.partition(":")
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in v.reasons)
    untrained = (
        ""
        if model["trained"]
        else "<p class='wrong'>The network in this run is not trained: the result says nothing "
        "about training.</p>"
    )
    skipped = "".join(f"<li>{html.escape(str(line))}</li>" for line in _list(data["skipped"]))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Appearance first, then motion: {html.escape(v.answer)}</title>
<style>{REPORT_STYLE}</style></head>
<body><h1>&ldquo;Appearance first, then motion&rdquo;: a test</h1>
<p class="small">{html.escape(model["weights"])} &middot; {len(study.windows)} windows of {videos}
videos &middot; {settings.reinit} re-initialised networks &middot; seed {settings.seed} &middot;
the rule was fixed beforehand (docs/finding.md)</p>
<div class="verdict {v.answer}"><p><strong>{html.escape(answer)}:</strong>{html.escape(rest)}</p>
<ul>{reasons}</ul></div>{untrained}
{pictures[0]}
<h2>Controls</h2><div class="scroll"><table><tr><th>control</th><th>came out</th><th>numbers</th>
</tr>{_controls(analysis)}</table></div>
<h2>Curves and clips</h2>{"".join(pictures[1:3])}
<h2>Mass, weights, units</h2>{"".join(pictures[3:])}
<h2>Numbers that do not vote</h2>{_beside(data)}
<h2>Clips</h2><div class="scroll"><table><tr><th>window</th><th>video</th><th>lag</th>
<th>P gradient</th><th>P guided</th><th>K gradient</th><th>K guided</th></tr>
{_clips(study, analysis)}</table></div>
{f"<h2>Left out</h2><ul>{skipped}</ul>" if skipped else ""}
<footer><p>Everything else is in <code>result.json</code> (numbers, seeds, versions, hashes) and
<code>curves.npz</code>. This run took {seconds / 60:.1f} minutes, work kept from before not
counted.</p></footer></body></html>
"""


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _controls(analysis: Analysis) -> str:
    return "".join(
        f"<tr><td>{html.escape(c.name)}</td><td class='{c.status}'>{c.status}</td>"
        f"<td>{html.escape(c.says)}</td></tr>"
        for c in analysis.controls
    )


def _number(value: float) -> str:
    return f"{value:+z.3f}" if np.isfinite(value) else "undefined"


def _clips(study: Study, analysis: Analysis) -> str:
    rows = []
    p, k = analysis.p[TRAINED], analysis.k[TRAINED]
    for i, window in enumerate(study.windows):
        cells = [p[m][i] for m in DECIDING] + [k[m][i] for m in DECIDING]
        numbers = "".join(f"<td class='number'>{_number(value)}</td>" for value in cells)
        rows.append(
            f"<tr><td>{html.escape(window.name)}</td><td>{html.escape(window.cluster)}</td>"
            f"<td>{window.stimulus.lag}</td>{numbers}</tr>"
        )
    return "".join(rows)


def _beside(data: dict[str, object]) -> str:
    votes: Any = data["does_not_vote"]
    effects: Any = data["effects"]
    lines = []
    for method in DECIDING:
        s, e = votes["synthetic"]["T"][method], effects[method]
        lines.append(
            f"{method}: on synthetic clips T = {_number(s['value'])} [{_number(s['low'])}, "
            f"{_number(s['high'])}]; of the re-initialised networks, each taken for the trained "
            f"one, {e['reinitialised_with_interval_above_0']} of "
            f"{len(e['mean_P_reinitialised'])} have an interval above 0."
        )
        levels = votes["mean_A_and_M"]
        reinit = [v[method] for name, v in levels.items() if name.startswith("reinit")]
        trained = levels["trained"][method]
        if reinit:
            a, m = (float(np.mean([r[key] for r in reinit])) for key in ("A", "M"))
            lines.append(
                f"{method}: mean A = {_number(trained['A'])}, mean M = {_number(trained['M'])} "
                f"for the trained network; {_number(a)} and {_number(m)} for untrained ones."
            )
    d = votes["deconvnet"]
    lines.append(
        f"deconvnet, trained network: mean P = {_number(d['mean_P'])}, mean K = "
        f"{_number(d['mean_K'])}."
    )
    by_kind = votes["synthetic"]["mean_K_without_backprojection"]
    lines.append(
        "K without back-projection on synthetic clips: "
        + ", ".join(f"{kind} {_number(value)}" for kind, value in by_kind.items())
        + "."
    )
    share = votes["mirrored_seed_time"].get(TRAINED, float("nan"))
    lines.append(f"On reversed clips {share:.0%} of the trained units' time cells mirror.")
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
