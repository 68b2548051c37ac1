"""Learning curves of finished or running runs, from their logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ClipError

LABELS = {
    "how_unseen": "motion (10), unseen cut-outs",
    "how_seen": "motion (10), training cut-outs",
    "what_seen": "appearance (6), training cut-outs",
    "what_unseen": "appearance (6), unseen cut-outs",
    "what_unseen_plain": "appearance (6), unseen, no clutter",
    "accuracy": "held-out videos",
}
COLOURS = dict(zip(LABELS, ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#999999", "#0072b2"),
                   strict=True))  # fmt: skip


def read_log(path: Path) -> list[dict[str, float]]:
    """The evaluated records of ``log.jsonl`` (or of a run's folder), in order.

    Raises:
        ClipError: no such log, a damaged line, or nothing evaluated in it yet.
    """
    file = path / "log.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise ClipError(f"no log {file}; give the folder of a training run, or its log.jsonl")
    records = [_record(file, n, line) for n, line in enumerate(_lines(file), 1) if line.strip()]
    found = [r for r in records if any(key in r for key in LABELS)]
    if not found:
        raise ClipError(f"{file} holds no evaluation yet; the first comes after some minutes")
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError as error:
        raise ClipError(f"cannot read {file}: {error.strerror or error}") from None


def _record(file: Path, number: int, line: str) -> dict[str, float]:
    """One line of a log; a run that was killed may have written half of one."""
    try:
        record = json.loads(line)
        if all(isinstance(record[key], int | float) for key in ("seen", *record.keys() & LABELS)):
            return dict(record)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    raise ClipError(f"line {number} of {file} is damaged; remove that line")


def draw(runs: Sequence[Path], out: Path) -> Path:
    """One panel a run: accuracy over what the network has seen. Writes ``out`` (PNG)."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    logs = [read_log(path) for path in runs]
    figure, axes = plt.subplots(
        1, len(runs), figsize=(3.6 * len(runs), 3.2), sharey=True, squeeze=False, dpi=110
    )
    for axis, path, log in zip(axes[0], runs, logs, strict=True):
        _panel(axis, path.name if path.is_dir() else path.stem, log)
    axes[0][0].set_ylabel("accuracy (%)")
    entries: dict[str, Any] = {}
    for axis in axes[0]:
        lines, labels = axis.get_legend_handles_labels()
        entries.update(zip(labels, lines, strict=True))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="lower center",
        ncols=min(3, len(entries)),
        frameon=False,
        fontsize=8,
    )
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
    plt.close(figure)
    return out


def _panel(axis: Any, title: str, log: list[dict[str, float]]) -> None:
    for key, label in LABELS.items():
        points = [(r["seen"] / 1000, 100 * r[key]) for r in log if key in r]
        if points:
            axis.plot(*zip(*points, strict=True), color=COLOURS[key], label=label, lw=1.6)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("thousand seen")
    axis.set_ylim(0, 100)
    axis.set_xlim(left=0)
    axis.grid(axis="y", color="#dddddd", lw=0.6)
    axis.spines[["top", "right"]].set_visible(False)
