"""Networks made by hand whose maps are known, through the same code as everything else.

docs/trust.md, "Positive controls". Where one comes out wrong, the report is invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ..engine import Unit, top_units, trace
from ..nets import InputSpec
from .cases import Case
from .deletion import faithfulness
from .localisation import localisation
from .perturbation import motion_specificity
from .subject import Subject

_SIZE, _FRAMES, _SQUARE, _SPEED = 64, 8, 12, 2
_SPEC = InputSpec(resize=(_SIZE, _SIZE), crop=(_SIZE, _SIZE), mean=(128.0,) * 3, frames=_FRAMES)


@dataclass(frozen=True)
class ControlResult:
    """One positive control: did it come out as known?

    Attributes:
        name: what is known. right: whether it was found. says: the numbers.
    """

    name: str
    right: bool
    says: str


class _Corner(nn.Module):
    """Sees the upper left quarter of the frame alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.top = nn.Conv3d(4, 1, 1)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator).abs() * 0.1)
            # no ReLU is ever shut, so every pixel counts; grey has the answer 0
            self.conv.bias.fill_(1000.0)  # type: ignore[union-attr]
            self.top.bias.copy_(-1000.0 * self.top.weight.sum())  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        corner = x[..., : _SIZE // 2, : _SIZE // 2]
        whole = self.top(torch.relu(self.conv(corner)))
        return torch.relu(whole.mean((2, 3, 4)))


def _square(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured square that moves to the right over a still, weakly textured scene, and masks."""
    rng = np.random.default_rng(7)
    texture = rng.integers(0, 2, (_SQUARE, _SQUARE, 1)).astype(np.float32) * 200 + 20
    scene = rng.normal(128, 12, (_SIZE, _SIZE, 3))
    pixels = np.repeat(scene[None], frames, 0)
    masks = np.zeros((frames, _SIZE, _SIZE), bool)
    for t in range(frames):
        rows, columns = slice(26, 26 + _SQUARE), slice(16 + _SPEED * t, 16 + _SPEED * t + _SQUARE)
        pixels[t, rows, columns] = texture
        masks[t, rows, columns] = True
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), masks


def _matched(depth: int) -> nn.Sequential:
    """A filter for the moving square: ``depth`` frames of it, the mean taken off."""
    frames, masks = _square(depth)
    columns = np.flatnonzero(masks.any((0, 1)))
    rows = np.flatnonzero(masks.any((0, 2)))
    patch = frames[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    inside = masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, None]
    kernel = np.where(inside, patch - patch[inside[..., 0]].mean(), 0.0).transpose(3, 0, 1, 2)
    first = nn.Conv3d(3, 1, kernel.shape[1:], bias=False)
    second = nn.Conv3d(1, 1, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(kernel / np.abs(kernel).sum())[None])
        second.weight.fill_(1.0)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


def run_controls() -> list[ControlResult]:
    """All positive controls; a second or two."""
    return [*_corner(), *_filter()]


def _corner() -> list[ControlResult]:
    model = _Corner().eval()
    frames, _ = _square(_FRAMES)
    masks = np.zeros(frames.shape[:3], bool)
    masks[:, : _SIZE // 2, : _SIZE // 2] = True
    frames[masks] = np.minimum(frames[masks].astype(np.int16) + 60, 255).astype(np.uint8)
    # the network's answer is the unit: all that it sees is the corner
    subject = _subject(nn.Sequential(model), frames, masks, Unit("0", 0, ()))
    found = localisation(subject.explain("gradient"), masks)
    scores = {
        name: faithfulness(subject.model, subject.x, subject.unit, importance, steps=8)
        for name, importance in (
            ("gradient", subject.explain("gradient")),
            ("random", np.random.default_rng(0).random(masks.shape, dtype=np.float32)),
        )
    }
    gone = scores["gradient"].deletion[3]  # three eighths are more than the corner's quarter
    return [
        ControlResult(
            "a network that sees one corner: its gradient lies there",
            found.share > 0.999 and found.pointing == 1,
            f"share inside {found.share:.3f}, pointing {found.pointing:.2f}",
        ),
        ControlResult(
            "the corner taken away, its answer is gone",
            bool(abs(gone) < 1e-3),
            f"answer left without the corner {gone:.3f}",
        ),
        ControlResult(
            "its faithfulness is above that of noise",
            scores["gradient"].score > scores["random"].score,
            f"{scores['gradient'].score:+z.3f} against {scores['random'].score:+z.3f}",
        ),
    ]


def _filter() -> list[ControlResult]:
    frames, masks = _square(_FRAMES)
    results = []
    moving = _strongest(_matched(4), frames, masks)
    importance = moving.explain("gradient")
    shown = importance > 0
    found = localisation(importance, masks).share
    results.append(
        ControlResult(
            "a matched filter for a moving square: its gradient lies on the square",
            bool(shown.any() and found > 0.999),
            f"share inside {found:.3f}",
        )
    )
    for depth, name in ((4, "it is specific to the direction of motion"), (1, "without time, not")):
        subject = moving if depth == 4 else _strongest(_matched(1), frames, masks)
        score = motion_specificity(
            partial(subject.explain_by, subject.asked(), "input_x_gradient"),
            frames,
            subject.unit,
            subject.steps,
        )
        right = score.direction > 0.01 if depth == 4 else score.direction < 1e-6
        results.append(
            ControlResult(name, right, f"change with the direction {abs(score.direction):.4f}")
        )
    return results


def _strongest(model: nn.Sequential, frames: np.ndarray, masks: np.ndarray) -> Subject:
    start = _subject(model.eval(), frames, masks, Unit("3", 0, (0, 0, 0)))
    seen = trace(model, start.x, ["3"])
    (unit,) = top_units(seen, "3", 1)
    return Subject(model, _SPEC, start.case, unit, seen.activations["3"].shape[1])


def _subject(model: nn.Module, frames: np.ndarray, masks: np.ndarray, unit: Unit) -> Subject:
    return Subject(model, _SPEC, Case("control", "control", frames, masks), unit, 1)
