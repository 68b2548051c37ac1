"""A film taken apart into one still picture and the flow that moves it.

Sought are a picture I and displacements D_t, one for each frame, smooth in space, so that frame t
is I seen at ``p + D_t(p)``. They start from the middle frame and from optical flow added up frame
by frame (Farnebäck 2003), and are fitted by gradient descent on the squared error and on the
differences of neighbouring displacements. The network takes no part in it; what it answers to the
parts is measured afterwards. The idea of taking a stimulus apart so is from a published visualiser
of 3D kernels; film, fit and shares here are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ...progress import Progress

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

STEPS = 120
_CELLS = 7  # pixels of one cell of the displacements
_ROUGH = 2e-4  # price of neighbouring displacements that differ by a pixel


@dataclass(frozen=True)
class Split:
    """What a film (T, H, W, 3) was taken apart into, all uint8 RGB but the flow.

    Attributes:
        picture: (H, W, 3), the still.
        flow: (T, H, W, 2) float32, pixels to the right and down at which frame t shows the picture,
            0 in the middle frame but for the fit.
        moved: (T, H, W, 3), the picture moved by the flow. still: the picture in every frame.
        flow_alone: another picture of the same spectrum with random phases, moved by the flow.
        explained: share of the film's variance that ``moved`` has, at most 1. by_still: that of
            ``still``.
    """

    picture: Frames
    flow: Floats
    moved: Frames
    still: Frames
    flow_alone: Frames
    explained: float
    by_still: float


def split(
    frames: Frames, *, seed: int = 0, steps: int = STEPS, progress: Progress | None = None
) -> Split:
    """Take a film (T, H, W, 3) uint8 RGB apart; ``seed`` is of the random phases."""
    film = torch.from_numpy(frames.astype(np.float32) / 255).permute(0, 3, 1, 2)
    count, _, height, width = film.shape
    cells = (-(-height // _CELLS), -(-width // _CELLS))
    start = torch.from_numpy(_chained(frames)).permute(0, 3, 1, 2)
    with torch.enable_grad():
        coarse = F.interpolate(start, cells, mode="area").clone().requires_grad_(True)
        picture = film[count // 2].clone().requires_grad_(True)
        optimiser = torch.optim.Adam(
            [{"params": [coarse], "lr": 0.05}, {"params": [picture], "lr": 0.01}]
        )
        for step in range(steps):
            flow = _fine(coarse, height, width)
            rough = sum(coarse.diff(dim=axis).square().mean() for axis in (2, 3))
            loss = (_warp(picture, flow) - film).square().mean() + _ROUGH * rough
            slopes = torch.autograd.grad(loss, [coarse, picture])
            coarse.grad, picture.grad = slopes
            optimiser.step()
            if progress is not None:
                progress(step + 1, steps, "picture and motion")
    with torch.no_grad():
        flow = _fine(coarse, height, width)
        picture = picture.detach()
        moved, still = _warp(picture, flow), picture[None].expand(count, -1, -1, -1)
        alone = _warp(_random_phases(picture, seed), flow)
    variance = float((film - film.mean((0, 2, 3), keepdim=True)).square().mean())

    def share(part: Tensor) -> float:
        return 1 - float((part - film).square().mean()) / variance if variance > 0 else 1.0

    return Split(
        _bytes(picture[None])[0],
        np.ascontiguousarray(flow.permute(0, 2, 3, 1).numpy()),
        _bytes(moved), _bytes(still), _bytes(alone), share(moved), share(still),
    )  # fmt: skip


def _chained(frames: Frames) -> Floats:
    """(T, H, W, 2): from each pixel of frame t to where the middle frame shows the same."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    middle, (height, width) = len(frames) // 2, grey[0].shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    found = np.zeros((len(frames), height, width, 2), np.float32)
    later, earlier = range(middle + 1, len(frames)), range(middle - 1, -1, -1)
    for times, step in ((later, -1), (earlier, 1)):
        for t in times:
            start = np.zeros((height, width, 2), np.float32)
            way = cv2.calcOpticalFlowFarneback(
                grey[t], grey[t + step], start, 0.5, 3, 13, 4, 5, 1.1, 0
            )
            ahead = cv2.remap(
                found[t + step], x + way[..., 0], y + way[..., 1], cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            found[t] = way + ahead
    return found


def _fine(coarse: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)


def _warp(picture: Tensor, flow: Tensor) -> Tensor:
    """(T, 3, H, W): the picture (3, H, W) seen at p + flow (T, 2, H, W), pixels."""
    count, _, height, width = flow.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    grid = torch.stack(
        [(x + flow[:, 0]) * 2 / width - 1, (y + flow[:, 1]) * 2 / height - 1], dim=-1
    )
    pictures = picture[None].expand(count, -1, -1, -1)
    warped: Tensor = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    return warped


def _random_phases(picture: Tensor, seed: int) -> Tensor:
    """A picture of the same amplitudes and relations between its colours, and nothing else."""
    noise = torch.randn(picture.shape[1:], generator=torch.Generator().manual_seed(seed))
    turn = torch.polar(torch.ones(()), torch.fft.rfft2(noise).angle())
    turn[0, 0] = 1  # the mean stays
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture) * turn, picture.shape[1:])
    return result


def _bytes(values: Tensor) -> Frames:
    levels = (values.detach() * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy())
