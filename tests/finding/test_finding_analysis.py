"""The wiring of T, controls and verdict: a study in which every number is known and its own."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from made import DEPTHS, LEVELS, METHODS, SEED, VIDEOS, Made, made_study

from c3d_viz.finding.judge.analysis import Analysis, analyse
from c3d_viz.finding.types import DECIDING, TRAINED, TWIN
from c3d_viz.nets import CONV_LAYERS
from c3d_viz.stats import Interval, bootstrap

EVERY = slice(None, None, 2)  # every second window is perturbed
ORDER = (
    "frozen", "shuffled", "reversed", "positive", "re-initialised", "weight permutation", "2D twin",
    "weight randomisation", "perturbation",
)  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Made:
    return made_study()


@pytest.fixture(scope="module")
def analysis(made: Made) -> Analysis:
    return analyse(made.study, {"skipped": ["x.mp4 has 3 frames"]})


def reinits(made: Made, of: str = "") -> list[str]:
    return [name for name in made.P if name.startswith(f"{of}reinit")]


def table(made: Made, names: list[str], method: str) -> np.ndarray:
    return np.stack([made.P[name][method] for name in names], 1)


def by_video(values: np.ndarray, videos: tuple[str, ...] = VIDEOS) -> float:
    """Mean over videos of the means over their windows."""
    label = np.array(videos)
    return float(np.mean([values[label == video].mean() for video in sorted(set(videos))]))


def same(got: object, expected: Interval) -> None:
    assert got == pytest.approx(asdict(expected), rel=1e-9, abs=1e-12)


def expected_intervals(made: Made) -> dict[str, dict[str, Interval]]:
    """Of every control that rests on one, from the numbers the study was made of."""
    by_method: dict[str, dict[str, Interval]] = {}
    for m in DECIDING:
        reinit = table(made, reinits(made), m)
        sign = np.repeat([1.0, -1.0], [4, 3])
        for name, values, baseline in (
            ("shuffled", made.C["trained"][m].mean(1) - made.C["reinit"][m].mean(1), None),
            ("weight permutation", table(made, ["permuted-0", "permuted-1"], m).mean(1), reinit),
            ("2D twin", made.P[TWIN][m], None),
            ("weight randomisation", made.deep[m], None),
            ("positive", sign * made.K[f"synthetic {TRAINED}"][m], None),
        ):
            videos = VIDEOS if name != "positive" else [str(i) for i in range(7)]
            interval = bootstrap(values, videos, baseline=baseline, seed=SEED)
            by_method.setdefault(name, {})[m] = interval
    windows = made.study.windows[EVERY]
    own = np.array([made.perturbed[f"{TRAINED}--{w.name}"][0] for w in windows])
    other = np.array(
        [made.perturbed[f"reinit-{i:02d}--{w.name}"][0] for i, w in enumerate(windows)]
    )
    interval = bootstrap(own - other, VIDEOS[EVERY], seed=SEED)
    return {**by_method, "perturbation": {"no back-projection": interval}}


def test_t_is_the_trained_network_less_the_reinitialised_ones(
    made: Made, analysis: Analysis
) -> None:
    for method in DECIDING:
        own, other = made.P[TRAINED][method], table(made, reinits(made), method)
        effect = analysis.effects[method]
        expected = bootstrap(own, VIDEOS, baseline=other, seed=SEED)
        assert expected.value == pytest.approx(by_video(own) - by_video(other.mean(1)))
        same(asdict(effect.T), expected)
        assert effect.trained_mean == pytest.approx(by_video(own))
        assert effect.reinit_means == pytest.approx([by_video(row) for row in other.T])
        assert effect.share_positive == 1.0
        record: Any = analysis.data["effects"][method]  # type: ignore[index]
        assert record["value"] == effect.T.value
        assert record["above_every_reinitialised"]


def test_every_control_rests_on_its_own_numbers(made: Made, analysis: Analysis) -> None:
    expected = expected_intervals(made)
    got: Any = analysis.data["control_intervals"]
    assert set(got) == set(expected)
    values = [i.value for by in expected.values() for i in by.values()]
    values += [effect.T.value for effect in analysis.effects.values()]
    assert min(abs(a - b) for a, b in itertools.combinations(values, 2)) > 1e-3  # none alike
    for name, by in expected.items():
        assert set(got[name]) == set(by), name
        for method, interval in by.items():
            same(got[name][method], interval)
    says = {control.name: control.says for control in analysis.controls}
    assert tuple(says) == ORDER
    for name, by in expected.items():
        for interval in by.values():
            assert str(interval) in says[name]
    assert says["frozen"].startswith("M is defined on 0 of 1728 frames")
    assert "over 9 frozen clips" in says["frozen"]
    assert says["re-initialised"].startswith("10 networks (10 needed), P is defined on 100%")
    assert "T alone reads supported" in says["perturbation"]
    k = made.K[f"synthetic {TRAINED}"]["guided"]
    assert (
        f"(appearance first {k[:4].mean():+.3f}, motion first {k[4:].mean():+.3f})"
        in (says["positive"])
    )


def test_a_sound_study_with_an_effect_is_supported(analysis: Analysis) -> None:
    assert [control.status for control in analysis.controls] == ["right"] * len(ORDER)
    assert analysis.verdict.answer == "supported"
    assert analysis.data["verdict"] == asdict(analysis.verdict)
    assert analysis.data["skipped"] == ["x.mp4 has 3 frames"]


@pytest.mark.parametrize(
    ("control", "status", "changes"),
    [
        ("frozen", "wrong", {"frozen_m": 0.1}),
        ("shuffled", "wrong", {"C_shuffled_trained": (0.4, 0.5)}),
        ("shuffled", "wrong", {"C_shuffled_reinit": (0.4, 0.5)}),
        ("reversed", "wrong", {"mirrors": False}),
        ("positive", "wrong", {"K_appearance_first": (-0.45, -0.53), "K_motion_first": (0.3, 0.3)}),
        ("re-initialised", "undetermined", {"reinits": 9}),
        ("weight permutation", "wrong", {"P_permuted": (0.3, 0.3)}),
        ("2D twin", "wrong", {"P_twin": (0.3, -0.3)}),
        ("2D twin", "undetermined", {"twin": False}),
        ("weight randomisation", "wrong", {"beyond_paths": (0.8, 0.9)}),
        ("perturbation", "wrong", {"P_perturbed_trained": (-0.5,)}),
        ("perturbation", "wrong", {"P_perturbed_reinit": (0.9,)}),
    ],
)
def test_one_control_at_a_time(control: str, status: str, changes: dict[str, Any]) -> None:
    got = analyse(made_study(**changes).study, {})
    assert {c.name: c.status for c in got.controls if c.status != "right"} == {control: status}
    assert got.verdict.answer == ("invalid" if status == "wrong" else "inconclusive")
    assert any(f"Control {control} " in reason for reason in got.verdict.reasons)


def test_without_an_effect_nothing_is_supported() -> None:
    none = analyse(made_study(P_trained=LEVELS["P reinit"] + (0.0,)).study, {})
    assert none.verdict.answer == "inconclusive"
    less = analyse(made_study(P_trained=(-0.3, -0.2, 0.0), P_perturbed_trained=(0.0,)).study, {})
    assert less.verdict.answer == "refuted"


def test_p_and_k_of_every_network_and_window(made: Made, analysis: Analysis) -> None:
    nets = [net.name for net in made.study.networks]
    assert list(analysis.p) == list(analysis.k) == nets
    for name in set(nets) - {TWIN}:
        for m in DECIDING:
            np.testing.assert_allclose(analysis.p[name][m], made.P[name][m])
            np.testing.assert_allclose(analysis.k[name][m], made.K[name][m], atol=1e-12)
    per_clip: Any = analysis.data["per_clip"]
    for i, window in enumerate(made.study.windows):
        record = per_clip["reinit-04"][window.name]["guided"]
        p, k = made.P["reinit-04"]["guided"][i], made.K["reinit-04"]["guided"][i]
        assert record["P"][:2] == pytest.approx([p + 0.03, p - 0.03])
        assert np.nanmean(record["K"]) == pytest.approx(k)
        assert np.nanmean(record["C"]["reversed"]) == pytest.approx(p - k)
        assert record["undefined"] == {"not an interior frame": 2 * 2 * 14}
    windows: Any = analysis.data["windows"]
    assert [w["video"] for w in windows] == [*VIDEOS, *(f"s{i}" for i in range(7))]
    assert [w["kind"] for w in windows[9:]] == ["appearance first"] * 4 + ["motion first"] * 3
    assert windows[1]["start"] == 11


def test_synthetic_clips_beside_the_test(made: Made, analysis: Analysis) -> None:
    votes: Any = analysis.data["does_not_vote"]
    got = votes["synthetic"]
    here = f"synthetic {TRAINED}"
    names = reinits(made, "synthetic ")
    assert len(names) == made.study.settings.synthetic_reinit == 4
    clips = [window.name for window in made.study.synthetic]
    for m in DECIDING:
        expected = bootstrap(made.P[here][m], clips, baseline=table(made, names, m), seed=SEED)
        same({k: v for k, v in got["T"][m].items() if k in asdict(expected)}, expected)
        assert got["P"][m] == pytest.approx(made.P[here][m])
        assert got["K"][m] == pytest.approx(made.K[here][m])
    by_hand = [made.perturbed[f"{TRAINED}--{name}"][1] for name in clips]
    assert got["K_without_backprojection"] == pytest.approx(by_hand)
    assert got["mean_K_without_backprojection"] == pytest.approx(
        {"appearance first": np.mean(by_hand[:4]), "motion first": np.mean(by_hand[4:])}
    )


def test_numbers_that_do_not_vote(made: Made, analysis: Analysis) -> None:
    votes: Any = analysis.data["does_not_vote"]
    p, k = made.P[TRAINED]["deconvnet"], made.K[TRAINED]["deconvnet"]
    assert votes["deconvnet"]["P"] == pytest.approx(p)
    assert votes["deconvnet"]["mean_K"] == pytest.approx(k.mean())
    assert set(made.P[TRAINED]) == set(METHODS)
    # mean of A over the 14 interior frames: `early` in the first half, 0 in the second
    early = {net.name: 0.05 + 0.001 * i for i, net in enumerate(made.study.networks)}
    for name in ("trained", "reinit-03", "permuted-1"):
        level = votes["mean_A_and_M"][name]["gradient"]
        late = (made.P[name]["gradient"] + made.K[name]["gradient"]).mean() - early[name]
        assert level == pytest.approx({"A": early[name] / 2, "M": late / 2})
    curves = votes["curves"]["guided"]
    assert list(curves) == ["trained", "re-initialised", "2D twin"]
    reinit = np.mean([early[name] for name in reinits(made)])
    assert curves["re-initialised"]["A"][1:8] == pytest.approx(np.full(7, reinit))
    assert curves["trained"]["E"][[0, 7, 15]] == pytest.approx([0.2, 0.06, 0.1])
    assert votes["curves"]["E_frozen"]["guided"][[0, 15]] == pytest.approx([0.24, 0.06])
    assert votes["mirrored_seed_time"]["trained"] == pytest.approx(2 / 3)
    depths = votes["similarity_by_depth"]
    assert depths["layers"] == ["none", *CONV_LAYERS[::-1]]
    for m in DECIDING:
        assert depths[m]["beyond_paths"][-1] == pytest.approx(made.deep[m].mean())
        assert depths[m]["beyond_paths"][0] == 1.0
        assert depths[m]["ssim"] == pytest.approx(np.full(DEPTHS, 0.77))
    for net, dynamic, joint, static in (("trained", 6, 1, 2), ("twin", 3, 2, 4)):
        shares = votes["units_by_layer"][net]["conv3a"]
        assert shares["dynamic"] == pytest.approx(dynamic / 12)
        assert shares["joint"] == pytest.approx(joint / 12)
        assert shares["static"] == pytest.approx(static / 12)
