"""What is in a checkpoint file, for people: ``c3d-viz weights inspect PATH``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import printable
from ..nets import ModelSpec
from . import files
from .assemble import Resolution, resolve, spec_of
from .readers import read


@dataclass(frozen=True)
class LayerInfo:
    """One tensor of the file: the model's name, the file's name, the file's shape and type."""

    name: str
    source: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Report:
    """What ``inspect`` found.

    Attributes:
        path: the file.
        size: bytes.
        sha256: hex digest.
        container: kind of file, e.g. ``torch zip``.
        format: key of the recognised format.
        title: the format for people.
        layers: its tensors, in the order of the network.
        parameters: how many numbers they hold.
        width, fc, temporal_depths: sizes of the network.
        spec: what ``load_model`` would choose without overrides.
        notes: what a user of these weights should know.
        problems: why it does not load; empty when it does.
    """

    path: Path
    size: int
    sha256: str
    container: str
    format: str
    title: str
    layers: tuple[LayerInfo, ...]
    parameters: int
    width: int
    fc: int
    temporal_depths: tuple[int, ...]
    spec: ModelSpec
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def inspect(path: str | Path, *, max_bytes: int = files.MAX_BYTES) -> Report:
    """Read a checkpoint and say what it is, without building the network.

    Tensors that are missing, unexpected or misshapen are listed as problems, not raised.

    Raises:
        WeightsError: the file cannot be read at all, or is of no known format.
    """
    path = files.named(path)
    raw = read(path, max_bytes)
    found = resolve(raw, path)
    digest = files.sha256(path)
    layers = tuple(
        LayerInfo(
            name, found.sources[name], tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        )
        for name, tensor in found.tensors.items()
    )
    return Report(
        path=path,
        size=path.stat().st_size,
        sha256=digest,
        container=raw.container,
        format=found.format.key,
        title=found.format.title,
        layers=layers,
        parameters=sum(tensor.numel() for tensor in found.tensors.values()),
        width=found.width,
        fc=found.fc,
        temporal_depths=found.temporal_depths,
        spec=spec_of(found, raw, path, sha256=digest),
        notes=_notes(found, raw.wrapped, raw.ignored),
        problems=found.problems,
    )


def format_report(report: Report) -> str:
    """The report as plain text, a few lines of facts and a table of the tensors.

    Whatever the names in the file hold, each line is printable.
    """
    spec = report.spec
    wanted = spec.input
    mean = ", ".join(f"{m:g}" for m in wanted.mean)
    depths = "-".join(str(depth) for depth in report.temporal_depths)
    resize = (
        f"short side {wanted.resize}"
        if isinstance(wanted.resize, int)
        else f"{wanted.resize[0]} x {wanted.resize[1]} (height x width)"
    )
    classes = f"{spec.num_classes}" if spec.num_classes else "none, the file has no classifier"
    if spec.classes:
        classes += f" ({', '.join(spec.classes[:3])}, ...)"
    facts = [
        ("file", f"{report.path} ({files.size_text(report.size)}, {report.container})"),
        ("sha256", report.sha256),
        ("format", f"{report.title} ({report.format})"),
        ("weights", spec.weights),
        ("network", f"width {report.width}, fc {report.fc}, temporal depths {depths}"),
        ("parameters", f"{report.parameters:,}"),
        ("classes", classes),
        ("pool5", spec.pool5),
        ("input", f"{wanted.channel_order}, (value - [{mean}]) x {wanted.scale:g}"),
        (
            "frames",
            f"{wanted.frames}, resized to {resize}, crop {_shape(wanted.crop)}",
        ),
    ]
    lines = [f"{key:<11}{value}" for key, value in facts]
    lines += [f"{'note':<11}{note}" for note in report.notes]
    lines.append("")
    rows = [
        (item.name, printable(item.source), _shape(item.shape), item.dtype)
        for item in report.layers
    ]
    header = ("parameter", "name in the file", "shape in the file", "type")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    lines.append("")
    lines += [f"problem: {problem}" for problem in report.problems] or ["loads: yes"]
    return "\n".join(map(printable, lines))


def _notes(found: Resolution, wrapped: str | None, ignored: tuple[str, ...]) -> tuple[str, ...]:
    notes = list(found.format.notes)
    if found.format.key == "tensorflow":
        notes.append(
            f"the file does not say in which order fc6 reads pool5; taken as {found.fc6_order}. "
            f"Layers up to conv5b do not depend on it; fc6_order= changes it"
        )
    if wrapped:
        notes.append(f"weights are under the key {wrapped!r} of a training checkpoint")
    if ignored:
        shown = ", ".join(name[:40] for name in ignored[:6])
        notes.append(f"not weights, ignored: {shown}{' ...' if len(ignored) > 6 else ''}")
    return tuple(notes)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)
