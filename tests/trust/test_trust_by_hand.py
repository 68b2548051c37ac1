"""Numbers of the checks against numbers by hand, on networks that are known; scale; bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from c3d_viz.engine import Unit
from c3d_viz.errors import LayerError, ShapeError
from c3d_viz.methods import attribute
from c3d_viz.nets import InputSpec
from c3d_viz.trust import (
    BASELINES,
    CHECKS,
    Case,
    average_drop,
    faithfulness,
    infidelity,
    little_changes,
    max_sensitivity,
    motion_specificity,
    ssim,
    stability,
)
from c3d_viz.trust.asked import Asked
from c3d_viz.trust.cascade import alike, randomised
from c3d_viz.trust.sensitivity import RADIUS, TRIALS
from c3d_viz.trust.subject import Subject

UNIT = Unit("0", 0, (1, 8, 8))


@pytest.fixture
def linear() -> nn.Sequential:
    """f = sum of a 3 x 3 x 3 patch with known weights: its gradient is they, whatever the clip."""
    model = nn.Sequential(nn.Conv3d(1, 1, 3, padding=1, bias=False)).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model[0].weight.copy_(torch.rand(model[0].weight.shape, generator=generator))
    return model.requires_grad_(False)


def clip(seed: int = 0) -> Tensor:
    return torch.rand(1, 1, 4, 20, 20, generator=torch.Generator().manual_seed(seed)) + 0.5


def patch(model: nn.Module) -> np.ndarray:
    """The gradient of UNIT in a network like ``linear``, (T, H, W)."""
    values = np.zeros((4, 20, 20), np.float32)
    values[0:3, 7:10, 7:10] = model[0].weight[0, 0].numpy()  # type: ignore[index]
    return values


def test_a_cascade_by_hand(linear: nn.Sequential) -> None:
    """One layer: all numbers are of the one map against that of the known random kernel."""
    spec = InputSpec(resize=(20, 20), crop=(20, 20), frames=4, mean=(90.0,), scale=1 / 60)
    frames = np.random.default_rng(0).integers(100, 255, (4, 20, 20, 3), dtype=np.uint8)
    subject = Subject(linear, spec, Case("a", "a", frames), UNIT, 4)
    network = next(
        n for n in (randomised(linear, ["0"], i) for i in range(10))
        if float(n(subject.x)[0, 0, 1, 8, 8]) > 0
    )  # fmt: skip
    known = alike(patch(linear), np.abs(patch(network)))
    found = {n.metric: n.value for n in CHECKS["randomisation"][0](subject, ["gradient"])}
    assert found["cascade at 0"] == found["cascade"] == found["one layer"] == known
    assert known < 1


def test_ssim_by_hand() -> None:
    """Even pictures have no variance: (2 a b + c1) / (a^2 + b^2 + c1)."""
    a, b = np.full((2, 16, 16), 0.5, np.float32), np.full((2, 16, 16), 0.25, np.float32)
    assert ssim(a, b) == pytest.approx((2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4), rel=1e-4)
    with pytest.raises(ShapeError):
        ssim(a, b[:1])


def test_deletion_is_blind_to_scale_and_refuses_what_has_no_order(linear: nn.Sequential) -> None:
    x, values = clip(), patch(linear)
    one, other = (faithfulness(linear, x, UNIT, v) for v in (values, values * 1024))
    assert np.array_equal(one.deletion, other.deletion)
    assert np.array_equal(one.insertion, other.insertion)
    values[0, 0, 0] = np.nan
    with pytest.raises(ShapeError, match="finite"):
        faithfulness(linear, x, UNIT, values)


def test_shares_are_of_what_the_unit_sees(linear: nn.Sequential) -> None:
    """27 pixels of 1600: a step of a fifth of the clip takes all of them, of its box a fifth."""
    x, values = clip(), patch(linear)
    inside = values > 0
    found = faithfulness(linear, x, UNIT, values, steps=3, within=inside)
    terms = (torch.from_numpy(values) * x[0, 0]).numpy()[inside]
    order = np.argsort(-values[inside])
    gone = [1 - terms[order[:n]].sum() / terms.sum() for n in (0, 9, 18, 27)]
    assert found.deletion == pytest.approx(gone, abs=1e-5)
    assert found.insertion == pytest.approx([1 - g for g in gone], abs=1e-5)
    whole = faithfulness(linear, x, UNIT, values, steps=3)
    assert whole.deletion == pytest.approx([1, 0, 0, 0], abs=1e-5)
    part = inside.copy()
    part[:, :, 9] = False  # all outside stays, in insertion too
    found = faithfulness(linear, x, UNIT, values, steps=1, within=part)
    left = (torch.from_numpy(values) * x[0, 0]).numpy()[inside & ~part].sum() / terms.sum()
    assert found.deletion == pytest.approx([1, left], abs=1e-5)
    assert found.insertion == pytest.approx([left, 1], abs=1e-5)


def test_a_unit_that_sees_less_than_the_object_has_no_iou(linear: nn.Sequential) -> None:
    """As many pixels as the mask has would be all of any map."""
    spec = InputSpec(resize=(20, 20), crop=(20, 20), frames=4, mean=(90.0,), scale=1 / 60)
    frames = np.full((4, 20, 20, 3), 200, np.uint8)
    for size, known in ((27, True), (28, False)):
        masks = np.zeros(4 * 20 * 20, bool)
        masks[:size] = True
        case = Case("a", "a", frames, masks.reshape(4, 20, 20))
        subject = Subject(linear, spec, case, UNIT, 4)
        found = [n for n in CHECKS["localisation"][0](subject, ["gradient"]) if n.metric == "iou"]
        assert len(found) == 1 + len(BASELINES)
        assert all(np.isfinite(n.value) == known for n in found)
        assert all(("sees less" in n.why) != known for n in found)


def test_average_drop_by_hand(linear: nn.Sequential) -> None:
    x = clip()
    whole = np.ones((4, 20, 20), np.float32)
    assert average_drop(linear, x, UNIT, whole) == pytest.approx(0, abs=1e-6)
    # the first two frames of three: what the third adds is lost
    half = whole.copy()
    half[2:] = 0
    terms = linear[0].weight[0, 0] * x[0, 0, 0:3, 7:10, 7:10]
    lost = float(terms[2].sum() / terms.sum())
    assert average_drop(linear, x, UNIT, half) == pytest.approx(lost, rel=1e-4)
    assert average_drop(linear, x, UNIT, half * 1024) == average_drop(linear, x, UNIT, half)
    assert np.isnan(average_drop(linear, x, UNIT, whole * 0))
    assert np.isnan(average_drop(linear, x * 0, UNIT, whole))  # it does not answer
    for wrong in (whole[:2], whole * np.nan):
        with pytest.raises(ShapeError):
            average_drop(linear, x, UNIT, wrong)


def test_infidelity_by_hand(linear: nn.Sequential) -> None:
    """Of a linear unit the gradient foretells every change, an empty map none of it."""
    x, asked = clip(), Asked(linear)
    exact = torch.from_numpy(patch(linear))[None, None]
    assert infidelity(asked, x, UNIT, exact, 0) == pytest.approx(0, abs=1e-6)
    assert infidelity(asked, x, UNIT, exact * 1024, 0) == pytest.approx(0, abs=1e-6)
    assert infidelity(asked, x, UNIT, exact * 0, 0) == pytest.approx(1, rel=1e-5)
    wrong = infidelity(asked, x, UNIT, exact.roll(5, -1), 0)
    assert 0.1 < wrong <= 1
    assert infidelity(asked, x, UNIT, exact.roll(5, -1) * 8, 0) == pytest.approx(wrong, rel=1e-3)
    silent = nn.Sequential(nn.Conv3d(1, 1, 3, padding=1))
    nn.init.zeros_(silent[0].weight)
    assert np.isnan(infidelity(Asked(silent.requires_grad_(False)), x, UNIT, exact, 0))


def test_max_sensitivity_by_hand(linear: nn.Sequential) -> None:
    x = clip()
    exact = torch.from_numpy(patch(linear))[None, None]
    assert max_sensitivity(lambda _: exact, x, 0) == 0
    seen: list[Tensor] = []

    def itself(clip: Tensor) -> Tensor:
        seen.append(clip.clone())
        return clip

    # a map that is the clip changes as the clip does
    found = max_sensitivity(itself, x, 0)
    changed = [c for c in seen if not torch.equal(c, x)]
    assert len(changed) == TRIALS
    assert found == pytest.approx(max(float((c - x).norm() / x.norm()) for c in changed), rel=1e-5)
    assert max(float((c - x).abs().max()) for c in changed) <= RADIUS * float(x.std()) * 1.001
    assert max_sensitivity(lambda c: c * 1024, x, 0) == pytest.approx(found, rel=1e-5)
    assert np.isnan(max_sensitivity(lambda c: c * 0, x, 0))


def test_motion_and_stability_are_blind_to_scale() -> None:
    frames = np.random.default_rng(0).integers(60, 200, (4, 24, 24, 3), dtype=np.uint8)

    def late(frames: np.ndarray, unit: Unit) -> np.ndarray:
        return frames.astype(np.float32).sum(-1) * np.arange(4, dtype=np.float32)[:, None, None]

    one = motion_specificity(late, frames, UNIT, 4)
    assert one == motion_specificity(lambda *a: late(*a) * 1024, frames, UNIT, 4)
    changes = little_changes(frames, 0)
    found = stability(late, frames, UNIT, changes)
    assert found == stability(lambda *a: late(*a) * 1024, frames, UNIT, changes)
    assert all(
        np.isnan(v) for v in stability(lambda *a: late(*a) * 0, frames, UNIT, changes).values()
    )
    with pytest.raises(LayerError, match="no time"):
        motion_specificity(late, frames, Unit("fc", 0, ()), 1)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_of_one_frame_and_of_even_colour(name: str) -> None:
    for frames in (np.zeros((1, 24, 24, 3), np.uint8), np.full((3, 24, 24, 3), 9, np.uint8)):
        found = BASELINES[name](frames, 0)
        assert found.shape == frames.shape[:3]
        assert np.isfinite(found).all()
        assert found.min() >= 0


def test_a_check_changes_the_clips_that_it_says_it_changes(linear: nn.Sequential) -> None:
    """The numbers of the check are those of the functions above, on its own clips and unit."""
    method = "input_x_gradient"  # of which every pixel changes with the clip
    net = nn.Sequential(*linear, nn.ReLU(), nn.Conv3d(1, 1, 3, padding=1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[2].weight.copy_(linear[0].weight.flip(2) - 0.3)  # type: ignore[operator]
    net.eval().requires_grad_(False)
    spec = InputSpec(resize=(20, 20), crop=(20, 20), frames=4, mean=(90.0,), scale=1 / 60)
    frames = np.random.default_rng(1).integers(90, 255, (4, 20, 20, 3), dtype=np.uint8)
    subject = Subject(
        net, spec, Case("a", "a", frames, synthetic=True), Unit("3", 0, (1, 8, 8)), 4, seed=5
    )
    assert subject.explain(method).any()
    numbers = {
        n.metric: n.value
        for check in ("motion", "stability")
        for n in CHECKS[check][0](subject, [method])
    }

    def explain(frames: np.ndarray, unit: Unit) -> np.ndarray:
        return np.abs(attribute(net, subject.input_of(frames), unit, method).values).sum(0)

    backwards = explain(frames[::-1].copy(), Unit("3", 0, (2, 8, 8)))[::-1]
    known = 1 - alike(subject.explain(method), backwards)
    assert numbers["change with direction"] == pytest.approx(known)
    assert known > 0
    found = stability(explain, frames, subject.unit, little_changes(frames, 5))
    assert {name: numbers[f"stability {name}"] for name in found} == pytest.approx(found)
    assert min(found.values()) < 0.999
