"""Occlusion and RISE against loops over every window and every mask there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from nets import clip, mini_c3d
from quick import QUICK
from torch import Tensor, nn

from c3d_viz.engine import Unit
from c3d_viz.errors import ShapeError, VizError
from c3d_viz.methods import METHODS, attribute, attribute_many
from c3d_viz.methods.fills import filled
from c3d_viz.methods.occlusion import OcclusionSettings
from c3d_viz.methods.rise import RiseSettings, random_masks, seen_less_mean

ON_THE_CLIP = [name for name, method in METHODS.items() if method.scope == "clip"]


class Inside(nn.Module):
    """The same network where the graph engine does not see it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + 0


@pytest.mark.parametrize("method", ON_THE_CLIP)
def test_what_is_computed_on_the_units_field_is_what_the_whole_clip_gives(method: str) -> None:
    net, x = mini_c3d()[:8], clip((1, 3, 16, 24, 28))
    settings = dict(QUICK[method])
    for changed in ({}, {"baseline": "still"}, {"fill": "blur"}):
        if set(changed) <= set(METHODS[method].settings().to_json()):
            settings |= changed
            small = attribute(net, x, Unit("relu3a", 2), method, settings=settings)
            unit = Unit("net.relu3a", 2)
            whole = attribute(Inside(net).eval(), x, unit, method, settings=settings)
            top = np.abs(whole.values).max()
            assert top > 0
            assert small.unit.at == whole.unit.at
            np.testing.assert_allclose(small.values, whole.values, atol=1e-5 * top)


@pytest.mark.parametrize("fill", ["mean", "blur", "still"])
def test_occlusion_is_the_loop_over_all_windows(fill: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(675, 2))
    x = clip((1, 2, 5, 9, 5))
    window, stride = (2, 3, 2), (2, 2, 1)
    settings = {"window": window, "stride": stride, "fill": fill}
    heard: list[tuple[int, int]] = []
    found = attribute(
        net.eval(), x, Unit("3", 1, ()), "occlusion", settings=settings,
        progress=lambda *at: heard.append(at),
    ).values  # fmt: skip
    with torch.no_grad():
        total, count, instead = np.zeros((5, 9, 5)), np.zeros((5, 9, 5)), filled(x, fill)
        starts = [
            range(0, s * (-(-(n - w) // s)) + 1, s)
            for n, w, s in zip((5, 9, 5), window, stride, strict=True)
        ]
        for t, h, w in itertools.product(*starts):
            covered, place = x.clone(), np.s_[t : t + 2, h : h + 3, w : w + 2]
            covered[0][:, *place] = instead[0][:, *place]
            total[place] += float(net(x)[0, 1] - net(covered)[0, 1])
            count[place] += 1
    assert count.min() >= 1
    np.testing.assert_allclose(found[0], total / count, atol=1e-5 * np.abs(total).max())
    passes = len(list(itertools.product(*starts))) + 1
    assert OcclusionSettings(window, stride).passes((5, 9, 5)) == passes - 1
    assert heard == [(n, passes) for n in range(passes)]


def test_occlusion_refuses_gaps_and_windows_larger_than_the_clip() -> None:
    net, x = mini_c3d(), clip()
    for settings, message in (
        ({"stride": (5, 8, 8)}, r"occlusion.stride \(5, 8, 8\) steps over cells"),
        ({"window": (17, 16, 16)}, r"occlusion.window \(17, 16, 16\) is larger than the clip"),
    ):
        with pytest.raises(VizError, match=message):
            attribute_many(net, x, [Unit("relu2a", 0)], "occlusion", settings=settings)


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_a_picture_has_no_time(method: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3))
    for shape in ((1, 3, 9, 9), (1, 3, 9, 9, 9, 9)):
        with pytest.raises(
            ShapeError, match=rf"^{method} .* \(1, C, T, H, W\), got {len(shape)} d"
        ):
            attribute(net, torch.zeros(shape), Unit("0", 0), method)


def test_rise_over_every_mask_is_the_mean_answer_when_a_cell_is_seen() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 1)).eval()
    x, fill = torch.randn(1, 1, 2, 2, 2), torch.randn(1, 1, 2, 2, 2)
    every = [torch.tensor(m).float().view(2, 2, 2) for m in itertools.product((0, 1), repeat=8)]
    with torch.no_grad():
        found = seen_less_mean(lambda clip: net(clip)[:, 0], x, fill, iter(every))[0, 0]
        answers = [float(net(torch.where(m > 0, x, fill))) for m in every]
    for cell in itertools.product((0, 1), repeat=3):
        seen = [a for a, m in zip(answers, every, strict=True) if m[cell]]
        assert float(found[cell]) == pytest.approx(np.mean(seen) - np.mean(answers), abs=1e-5)


def test_the_masks_are_open_as_often_as_asked_smooth_and_moved() -> None:
    settings = RiseSettings(masks=300, grid=(2, 3, 3), open=0.3)
    masks = torch.stack(list(random_masks(settings, (8, 20, 22))))
    assert masks.shape == (300, 8, 20, 22)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1
    assert float(masks.mean()) == pytest.approx(0.3, abs=0.02)
    assert float((masks.mean(0) - 0.3).abs().max()) < 0.15
    assert len({float(mask[0, 0, 0]) for mask in masks}) > 50  # not on one raster
    again = torch.stack(list(random_masks(settings, (8, 20, 22))))
    assert torch.equal(masks, again)


def test_masks_are_moved_along_each_axis_by_its_own_part_of_a_cell() -> None:
    """Cells of 2 x 3 x 7 pixels: drawn again by hand, with the same chances in the same order."""
    chance = torch.Generator().manual_seed(5)
    for mask in random_masks(RiseSettings(masks=6, grid=(2, 3, 2), seed=5), (4, 9, 14)):
        grid = (torch.rand([3, 4, 3], generator=chance) < 0.5).float()
        large = nn.functional.interpolate(grid[None, None], (6, 12, 21), mode="trilinear")[0, 0]
        t, h, w = (int(torch.randint(n, (), generator=chance)) for n in (2, 3, 7))
        assert torch.equal(mask, large[t:, h:, w:][:4, :9, :14])


def test_rise_finds_the_place_a_unit_sees() -> None:
    net, x = mini_c3d(), clip()
    unit = Unit("relu3a", 2, (1, 1, 1))
    settings = {"masks": 200, "grid": (4, 4, 4)}
    values = attribute(net, x, unit, "rise", settings=settings).values[0]
    t, h, w = np.unravel_index(np.abs(values).argmax(), values.shape)
    assert (t, h, w) < (9, 29, 29)
    assert max(h, w) < 28
    with pytest.raises(VizError, match=r"rise.grid \(4, 57, 7\) is finer than the clip"):
        attribute(net, x, unit, "rise", settings={"grid": (4, 57, 7)})
    assert attribute(net, x, unit, "rise", settings=settings).values.tobytes() == values.tobytes()
