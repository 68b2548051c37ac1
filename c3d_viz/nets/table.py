"""The layers of a C3D as a table: shape, receptive field, parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .c3d import C3D, FC_LAYERS, INPUT_SHAPE, LAYERS, receptive_field
from .layers import layer_module
from .spec import ModelSpec


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        layer: its name.
        shape: (C, T, H, W) of its output, (C,) where it is fully connected.
        field: receptive field (t, h, w) in frames and pixels, not clipped at the border; None
            where the layer sees the whole clip.
        parameters: weights and biases of the layer itself.
    """

    layer: str
    shape: tuple[int, ...]
    field: tuple[int, int, int] | None
    parameters: int


def layer_table(model: C3D) -> list[LayerRow]:
    """A row for each of ``LAYERS``; nothing is computed (shapes come from "meta" tensors)."""
    with torch.device("meta"):
        twin = C3D(
            model.num_classes, model.width, model.temporal_depths, model.fc, model.pool5_form
        ).eval()
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in LAYERS:
            layer_module(twin, layer).register_forward_hook(
                lambda _module, _args, output, layer=layer: shapes.update(
                    {layer: tuple(output.shape[1:])}
                )
            )
        twin(torch.empty(1, *INPUT_SHAPE))
    modules = dict(model.named_children())
    return [
        LayerRow(
            layer,
            shapes[layer],
            None if layer in FC_LAYERS else receptive_field(model, layer).size,
            sum(p.numel() for p in modules[layer].parameters()),
        )
        for layer in LAYERS
    ]


def table_text(rows: list[LayerRow], spec: ModelSpec) -> str:
    """The table for a terminal, with the weights in use on top."""
    lines = [
        spec.line,
        "",
        f"{'layer':<8}{'output C x T x H x W':<24}{'sees frames x h x w':<24}{'parameters':>12}",
    ]
    for row in rows:
        sees = "the whole clip" if row.field is None else " x ".join(map(str, row.field))
        shape = " x ".join(map(str, row.shape))
        lines.append(f"{row.layer:<8}{shape:<24}{sees:<24}{row.parameters:>12,}")
    lines.append(f"{'total':<56}{sum(row.parameters for row in rows):>12,}")
    return "\n".join(lines)
