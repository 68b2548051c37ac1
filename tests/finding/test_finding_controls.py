"""Every control on made-up measurements."""

from __future__ import annotations

import numpy as np
from planted import mirrored

from c3d_viz.finding.judge import controls as c
from c3d_viz.finding.measure.stimulus import stimulus
from c3d_viz.finding.measure.windows import synthetic_windows
from c3d_viz.finding.types import DECIDING, Effect
from c3d_viz.stats import Interval

N = 12
VIDEOS = [f"v{i}" for i in range(N)]
NOISE = np.random.default_rng(0).normal(0, 0.01, (N, 4))


def both(values: object) -> dict[str, np.ndarray]:
    return {method: np.asarray(values, float) for method in DECIDING}


def test_frozen_control_wants_nothing_defined() -> None:
    nothing = mirrored(np.nan, 0.2)
    nothing["M"][:] = np.nan
    assert c.frozen_control([nothing]).status == "right"
    assert c.frozen_control([nothing, mirrored(0.3, 0.2)]).status == "wrong"
    assert c.frozen_control([]).status == "undetermined"


def test_flat_controls() -> None:
    zero = np.zeros(N)
    flat, _ = c.shuffled_control(both(NOISE[:, 0]), both(zero), VIDEOS, seed=0)
    assert flat.status == "right"
    steep, _ = c.shuffled_control(both(NOISE[:, 0] + 0.2), both(zero), VIDEOS, seed=0)
    assert steep.status == "wrong"
    assert "+0.2" in steep.says
    # the architecture's own contrast is no fault: it is in the baseline as well
    own, _ = c.shuffled_control(both(NOISE[:, 0] + 0.2), both(zero + 0.2), VIDEOS, seed=0)
    assert own.status == "right"
    twin, _ = c.twin_control(both(NOISE[:, 0] - 0.3), VIDEOS, seed=0)
    assert twin.status == "wrong"
    assert c.twin_control(None, VIDEOS, seed=0)[0].status == "undetermined"
    same, _ = c.permutation_control(both(NOISE[:, :2]), both(NOISE), VIDEOS, seed=0)
    assert same.status == "right"


def test_one_bad_method_is_enough() -> None:
    mixed = {"gradient": NOISE[:, 0], "guided": NOISE[:, 0] + 0.3}
    assert c.twin_control(mixed, VIDEOS, seed=0)[0].status == "wrong"


def test_positive_control_needs_both_signs() -> None:
    kinds = ["appearance first"] * 6 + ["motion first"] * 6
    sign = np.repeat([1.0, -1.0], 6)
    good, _ = c.positive_control(both(0.3 * sign + NOISE[:, 0]), kinds, seed=0)
    assert good.status == "right"
    turned, _ = c.positive_control(both(-0.3 * sign + NOISE[:, 0]), kinds, seed=0)
    assert turned.status == "wrong"
    # always "appearance first", whatever is shown: the mean over the kinds hides it, the signs not
    stuck, _ = c.positive_control(both(0.3 + NOISE[:, 0] + 0.05 * sign), kinds, seed=0)
    assert stuck.status == "undetermined"


def test_reinit_control_counts() -> None:
    assert c.reinit_control(both(np.zeros((N, 10)))).status == "right"
    assert c.reinit_control(both(np.zeros((N, 9)))).status == "undetermined"
    assert c.reinit_control(both(np.full((N, 10), np.nan))).status == "undetermined"
    for poor in DECIDING:  # one method without enough is enough
        tables = both(np.zeros((N, 10)))
        tables[poor] = np.where(np.arange(N)[:, None] < N // 2, np.nan, tables[poor])
        assert c.reinit_control(tables).status == "undetermined"
        assert "50% of their clips" in c.reinit_control(tables).says
        tables[poor] = np.zeros((N, 9))
        assert c.reinit_control(tables).status == "undetermined"


def test_randomisation_control() -> None:
    low, _ = c.randomisation_control(both(0.2 + NOISE[:, 0]), VIDEOS, seed=0)
    high, _ = c.randomisation_control(both(0.9 + NOISE[:, 0]), VIDEOS, seed=0)
    assert (low.status, high.status) == ("right", "wrong")


def effects(low: float, high: float) -> dict[str, Effect]:
    t = Interval((low + high) / 2, low, high, 0.01, N, N)
    return {m: Effect(t, 0.9, (0.0,), low, 0) for m in DECIDING}


def test_perturbation_must_not_contradict() -> None:
    zero = np.zeros(N)
    for shift, says, status in (
        (-0.3, (0.1, 0.2), "wrong"),
        (0.3, (0.1, 0.2), "right"),
        (0.3, (-0.2, -0.1), "wrong"),
        (0.3, (-0.1, 0.1), "right"),
    ):
        control, _ = c.perturbation_control(
            NOISE[:, 0] + shift, zero, VIDEOS, effects(*says), seed=0
        )
        assert control.status == status


def test_reversed_control_on_real_pixels() -> None:
    windows = synthetic_windows(1, 0)
    assert c.reversed_control(windows).status == "right"
    wrong = windows[0]
    wrong.__dict__["stimulus"] = stimulus(np.roll(wrong.frames, 3, axis=0))
    assert c.reversed_control([wrong]).status == "wrong"
