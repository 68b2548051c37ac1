"""The study's figure, table and numbers, from whatever epochs all networks have reached."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ...files import write_bytes, write_json, write_text
from ...render import LIGHT, dress, new_figure, png
from .clips import Clips
from .judge import Comparison, accuracy, compare, right
from .net import DepthNet
from .plan import Plan, Said, read

ROWS = {
    "both": "clip accuracy (60 classes)",
    "motion": "motion (10)",
    "appearance": "appearance (6)",
}
CHANCE = {"both": 1 / 60, "motion": 1 / 10, "appearance": 1 / 6}
LABELS = {"depth-1": "1 (2D)", "depth-3": "3", "depth-5": "5", "depth-7": "7",
          "increasing": "3-3-5-5-7", "decreasing": "7-5-5-3-3"}  # fmt: skip
# Okabe-Ito hues; the depth that is in both columns keeps its colour
COLOURS = {"depth-1": "#70757d", "depth-3": "#0072b2", "depth-5": "#009e73", "depth-7": "#d55e00",
           "increasing": "#cc79a7", "decreasing": "#e69f00"}  # fmt: skip
COLUMNS = {
    "the same depth in every layer": ("depth-1", "depth-3", "depth-5", "depth-7"),
    "depth 3 and varying depths": ("depth-3", "increasing", "decreasing"),
}


def write(out: Path, plan: Plan, test: Clips) -> None:
    """``depths.png``, ``depths.md`` and ``depths.json`` in the folder of a study."""
    said = read(out, plan)
    reached = max(epoch for _, _, epoch in said)
    write_bytes(out / "depths.png", png(figure(said, test, plan)))
    comparisons = compare(said, test, plan, reached)
    write_text(out / "depths.md", table(said, test, plan, reached, comparisons))
    curves = {
        name: {q: [right(said, test, name, e, q).mean(1).tolist() for e in range(1, reached + 1)]
               for q in ROWS}
        for name in plan.names
    }  # fmt: skip
    accuracies = {
        name: {q: dataclasses.asdict(accuracy(said, test, name, reached, q)) for q in ROWS}
        for name in plan.names
    }
    write_json(
        out / "depths.json",
        {
            "plan": dataclasses.asdict(plan),
            "epochs_reached": reached,
            "finished": reached == plan.epochs,
            "accuracy": accuracies,
            "curves": curves,
            "comparisons": [dataclasses.asdict(c) for c in comparisons],
        },
    )


def figure(said: Said, test: Clips, plan: Plan) -> Any:
    """Accuracy against training, as the paper's figure 2: mean of the seeds, and each seed; dotted,
    chance."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    drawn, axes = new_figure(LIGHT, (8.4, 9.6), len(ROWS), len(COLUMNS), sharex=True, sharey="row")
    last = max(epoch for _, _, epoch in said)
    across = [epoch * plan.clips for epoch in range(1, last + 1)]
    lines: dict[str, Any] = {}
    for row, (question, label) in enumerate(ROWS.items()):
        top = chance = 100 * CHANCE[question]
        for column, (title, names) in enumerate(COLUMNS.items()):
            axis = axes[row, column]
            for name in (n for n in names if n in plan.names):
                curves = [right(said, test, name, e, question) for e in range(1, last + 1)]
                for seed in range(plan.seeds):
                    each = [100 * curve[seed].mean() for curve in curves]
                    axis.plot(across, each, color=COLOURS[name], lw=0.7, alpha=0.6)
                    top = max(top, *each)
                mean = [100 * curve.mean() for curve in curves]
                (lines[LABELS[name]],) = axis.plot(  # markers are whole on the edge, at 0 %
                    across, mean, color=COLOURS[name], lw=2.0, marker="o", ms=3.5,
                    clip_on=False, zorder=3,
                )  # fmt: skip
            lines["chance"] = axis.axhline(chance, color=LIGHT.reinit, lw=1, ls=":")
            axis.grid(axis="y", color=LIGHT.faint, lw=0.6)
            if row == 0:
                axis.set_title(title, loc="left")
            if column == 0:
                axis.set_ylabel(f"{label}, %")
            if row == len(ROWS) - 1:
                axis.set_xlabel("clips seen")
            dress(axis, LIGHT)
        axes[row, 0].set_ylim(0, min(1.1 * top, 104))  # both columns have it
    axes[0, 0].set_xlim(0, 1.04 * across[-1])
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[0, 0].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    order = [label for label in (*LABELS.values(), "chance") if label in lines]
    drawn.legend(
        [lines[label] for label in order], order, loc="outside lower center", ncols=4,
        frameon=False, fontsize=9, labelcolor=LIGHT.ink,
        title="temporal depth of the kernels; thin: each seed", title_fontsize=9,
    )  # fmt: skip
    return drawn


def table(said: Said, test: Clips, plan: Plan, epoch: int, comparisons: list[Comparison]) -> str:
    """The figures and what the rule says, as Markdown."""
    count = right(said, test, plan.names[0], epoch, "both").shape[1]
    lines = [
        f"After epoch {epoch} of {plan.epochs} ({epoch * plan.clips:,} clips seen), "
        f"{count:,} held-out clips, {plan.seeds} seeds:",
        "",
        "| temporal depth | parameters (convolutions) | clip accuracy (60) | motion (10) | "
        "appearance (6) |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for name in plan.names:
        net: DepthNet = plan.net(name, 0)
        total = sum(p.numel() for p in net.parameters())
        cells = [_cell(said, test, name, epoch, question) for question in ROWS]
        lines.append(
            f"| {LABELS[name]} | {total:,} ({net.parameters_of_convolutions:,}) | "
            + " | ".join(cells)
            + " |"
        )
    if epoch < plan.epochs:
        lines += ["", "The study has not come to its end: what follows decides nothing yet."]
    lines += ["", "| question | compared | difference | rule |", "|---|---|---|---|"]
    for c in comparisons:
        lines.append(
            f"| {c.question} | {LABELS[c.first]} less {LABELS[c.second]} | "
            f"{100 * c.difference:+z.1f} [{100 * c.low:+z.1f}, {100 * c.high:+z.1f}] | "
            f"{LABELS[c.first]} {'is ' if c.verdict != 'not told apart' else ''}{c.verdict} |"
        )
    return "\n".join(lines) + "\n"


def _cell(said: Said, test: Clips, name: str, epoch: int, question: str) -> str:
    found = accuracy(said, test, name, epoch, question)
    seeds = ", ".join(f"{100 * share:.1f}" for share in found.seeds)
    return f"{100 * found.share:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] ({seeds})"
