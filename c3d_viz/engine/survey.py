"""Any network's layers as a tree: shapes, receptive fields, parameters, and the short groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..nets import ModelSpec, ReceptiveField, unwrapped
from .fields import Told, receptive_fields
from .listen import eval_view, recording, undisturbed


@dataclass(frozen=True)
class ModuleRow:
    """One module that the forward pass calls.

    Attributes:
        layer: its name, as in ``dict(model.named_modules())``; what ``--layer`` takes.
        kind: its class.
        shape: of its output without the batch axis, (C, T, H, W) mostly.
        field: see ``receptive_fields``; None where there is no (T, H, W) grid.
        parameters: of the module and all within it.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    field: ReceptiveField | None
    parameters: int


def called_layers(
    model: nn.Module, shape: Sequence[int], layers: Sequence[str] = ()
) -> dict[str, tuple[int, ...]]:
    """Output shapes (C, ...) of all modules that give a tensor (1, C, ...), in the tree's order.

    Args:
        shape: (C, T, H, W) of the clip; the network runs once on an empty one.
        layers: further names, of single calls of a module ("relu#0").

    Raises:
        LayerError: one of ``layers`` does not exist.
    """
    view = eval_view(model)
    names = [*(name for name, _ in view.named_modules() if name), *layers]
    example = next((p for p in view.parameters() if p.is_floating_point()), torch.empty(0))

    def keep(_name: str, _module: nn.Module, _x: Tensor, output: Tensor) -> Tensor:
        return torch.empty(()).expand(output.shape)  # the shape alone takes no memory

    clip = torch.zeros(1, *shape, dtype=example.dtype, device=example.device)
    with (
        undisturbed(example.device),
        torch.no_grad(),
        recording(view, names, keep, skipped={}) as kept,
    ):
        view(clip)
    return {
        n: tuple(kept[n].shape[1:])
        for n in names
        if n in kept and kept[n].ndim > 1 and len(kept[n]) == 1
    }


def groups_of(model: nn.Module, called: Mapping[str, object]) -> tuple[str, ...]:
    """The short names: the children of the network that it calls, or theirs where it has but one.

    Args:
        called: names of the modules that can be asked for (``called_layers``).
    """
    root, prefix = unwrapped(model), ""
    while True:
        groups = _called_children(root, prefix, called)
        if len(groups) != 1 or not any(root.get_submodule(groups[0][len(prefix) :]).children()):
            return tuple(groups)
        root = root.get_submodule(groups[0][len(prefix) :])
        inner = _called_children(root, groups[0] + ".", called)
        if not inner:
            return tuple(groups)
        prefix = groups[0] + "."


def _called_children(root: nn.Module, prefix: str, called: Mapping[str, object]) -> list[str]:
    names: list[str] = []
    for name, child in root.named_children():
        if prefix + name in called:
            names.append(prefix + name)
        else:  # a ModuleList, whose members are called and not itself
            names += _called_children(child, f"{prefix}{name}.", called)
    return names


def layer_tree(
    model: nn.Module, shape: Sequence[int], progress: Told | None = None
) -> list[ModuleRow]:
    """A row for each module that can be asked for, in the order in which the model lists them.

    Args:
        shape: (C, T, H, W) of the clip.
        progress: told (done, layers in all, layer) while receptive fields are measured.
    """
    called = called_layers(model, shape)
    fields = receptive_fields(model, shape, called, progress)
    modules: dict[str, nn.Module] = dict(unwrapped(model).named_modules())
    return [
        ModuleRow(
            name,
            type(modules[name]).__name__,
            output,
            fields[name],
            sum(p.numel() for p in modules[name].parameters()),
        )
        for name, output in called.items()
    ]


def tree_text(
    rows: Sequence[ModuleRow], groups: Sequence[str], model: nn.Module, spec: ModelSpec
) -> str:
    """The tree for a terminal; an axis of which a layer sees all there is has a ``+``."""
    clip = spec.input.shape
    width = max([len("layer"), *(len(_indented(row.layer)) for row in rows)])
    kinds = max([len("kind"), *(len(row.kind) for row in rows)])
    head = f"{'layer':<{width}}  {'kind':<{kinds}}  {'output':<22}  {'sees frames x h x w':<20}"
    lines = [
        spec.line,
        f"input (C x T x H x W): {' x '.join(map(str, clip))}",
        f"--layer takes any name below; groups: {', '.join(groups)}",
        "",
        f"{head}  {'step':<12}{'parameters':>12}",
    ]
    for row in rows:
        sees, step = "the whole clip", ""
        if row.field is not None:
            sizes = zip(row.field.size, clip[1:], strict=True)
            sees = " x ".join(f"{size}{'+' if size >= limit else ''}" for size, limit in sizes)
            step = " x ".join(str(n) if n else "-" for n in row.field.step)
        shape = " x ".join(map(str, row.shape))
        lines.append(
            f"{_indented(row.layer):<{width}}  {row.kind:<{kinds}}  {shape:<22}  {sees:<20}  "
            f"{step:<12}{row.parameters:>12,}"
        )
    total = sum(p.numel() for p in model.parameters())
    lines.append(f"{'total':<{width + kinds + 62}}{total:>12,}")
    return "\n".join(lines)


def _indented(layer: str) -> str:
    """The whole name, since that is what ``--layer`` takes, as deep as it lies."""
    return "  " * layer.count(".") + layer
