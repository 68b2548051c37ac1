"""What is measured: each piece of work takes the network, the clip and the seed that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made import mirrored_clip
from tiny import tiny

from c3d_viz.clips import preprocess_frames
from c3d_viz.engine import top_units, trace
from c3d_viz.finding.measure import study
from c3d_viz.finding.measure.networks import Networks, digest, recipes
from c3d_viz.finding.measure.study import plan
from c3d_viz.finding.measure.windows import shuffled
from c3d_viz.finding.types import DECIDING, StudySettings
from c3d_viz.nets import COMPACT_INPUT, ModelSpec
from c3d_viz.trust import Similarity
from c3d_viz.work import Piece

SETTINGS = StudySettings(
    reinit=3, seed=2, permuted_nets=1, shuffles=4, synthetic_reinit=2, pairs=6, per_kind=1
)
SPEC = ModelSpec("compact", "tiny", True, COMPACT_INPUT, 4, tuple("abcd"))
WINDOWS = [mirrored_clip(f"{v}@0", v, "real", i, True, 112) for i, v in enumerate("pqrst")]
SYNTHETIC = [mirrored_clip(f"s{i}", f"s{i}", "motion first", 20 + i, True) for i in range(2)]
NETS = recipes(3, 1, SETTINGS.seed, twin=True)
TURNS = {"trained": [0, 1, 2, 3], "reinit-00": [0, 3], "reinit-01": [1], "reinit-02": [2]}
PERTURBED = {"trained": "prt", "reinit-00": "p", "reinit-01": "r", "reinit-02": "t"}


def networks(seed: int = 5) -> Networks:
    return Networks(tiny(3, seed), SPEC, (tiny(1), SPEC))


@pytest.fixture(scope="module")
def nets() -> Networks:
    return networks()


def pieces(nets: Networks, settings: StudySettings = SETTINGS) -> dict[str, Piece]:
    made = plan(settings, nets, NETS, WINDOWS, SYNTHETIC)
    assert len({piece.file for piece in made}) == len(made)
    return {piece.key: piece for piece in made}


@pytest.fixture
def spied(nets: Networks, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Runs the piece of a key; what it called: (function, network's name, the other arguments)."""
    calls: list[Any] = []
    names = {nets.facts(net)[0]: net.name for net in NETS}
    assert len(names) == len(NETS)

    def spy(function: str, answer: object) -> None:
        def record(model: Any, *args: Any, **options: Any) -> object:
            calls.append((function, names[digest(model)], args, options))
            return answer

        monkeypatch.setattr(study, function, record)

    half = np.where(np.arange(16) < 8, 0.0, 1.0)
    spy(
        "measure",
        {"M": half * np.array([1.0, 3.0])[None, :, None, None], "A": np.zeros((1, 2, 1, 16))},
    )
    spy("perturb", {})
    spy("answers", {})
    spy(
        "weight_randomisation",
        [Similarity("none", 0, 0.1, 0.2, 0.3), Similarity("a", 1, 0.4, 0.5, 0.6)],
    )
    monkeypatch.setattr(study, "paired_clips", lambda *args: args)
    work = pieces(nets)

    def run(key: str) -> list[Any]:
        calls.clear()
        return [work[key].run(), *calls]

    return run


def test_which_pieces_there_are(nets: Networks) -> None:
    names = [net.name for net in NETS]
    assert names == ["trained", "reinit-00", "reinit-01", "reinit-02", "permuted-0", "twin"]
    expected = {f"{name}--{w.name}" for name in names for w in WINDOWS}
    expected |= {f"{n}--{w.name}" for n in ("trained", "reinit-00", "reinit-01") for w in SYNTHETIC}
    expected |= {f"{kind}--{w.name}" for kind in ("frozen", "randomised") for w in WINDOWS}
    expected |= {f"shuffled-{name}--{w.name}" for name in TURNS for w in WINDOWS}
    expected |= {f"perturbed-{name}--{v}@0" for name, videos in PERTURBED.items() for v in videos}
    expected |= {f"perturbed-trained--{w.name}" for w in SYNTHETIC}
    assert set(pieces(nets)) == expected | {"shared-trained", "shared-twin"}


@pytest.mark.parametrize("net", [net.name for net in NETS])
def test_curves_are_of_the_network_and_the_window(net: str, spied: Any) -> None:
    methods = (*DECIDING, "deconvnet") if net == "trained" else DECIDING
    _, (function, name, (spec, window, asked), options) = spied(f"{net}--q@0")
    assert (function, name, window, asked) == ("measure", net, WINDOWS[1], methods)
    assert spec is COMPACT_INPUT
    assert options == {}


def test_frozen_clips_repeat_the_middle_frame_before_the_trained_network(spied: Any) -> None:
    _, (function, name, (_, window, methods), options) = spied("frozen--r@0")
    assert (function, name, methods, options) == ("measure", "trained", DECIDING, {})
    assert (window.frames == WINDOWS[2].frames[8]).all()


@pytest.mark.parametrize("net", TURNS)
def test_shuffled_clips_have_an_order_for_each_turn(net: str, spied: Any) -> None:
    arrays, *calls = spied(f"shuffled-{net}--s@0")
    assert arrays["turns"].tolist() == TURNS[net]
    assert arrays["C"].tolist() == [[1.0, 3.0]] * len(TURNS[net])  # by method
    assert len(calls) == len(TURNS[net])
    for turn, (function, name, (_, window, methods), options) in zip(
        TURNS[net], calls, strict=True
    ):
        assert (function, name, methods) == ("measure", net, DECIDING)
        assert options == {"units": 1, "backward": False}
        assert (window.frames == shuffled(WINDOWS[3], (2, 3, turn)).frames).all()


def test_randomisation_takes_the_strongest_unit_of_the_trained_network(
    nets: Networks, spied: Any
) -> None:
    arrays, *calls = spied("randomised--q@0")
    x = preprocess_frames(WINDOWS[1].frames, COMPACT_INPUT)
    unit = top_units(trace(nets.trained, x, ["conv5b"]), "conv5b", 1)[0]
    assert [call[:2] for call in calls] == [("weight_randomisation", "trained")] * 2
    for method, (_, _, (clip, asked, called), options) in zip(DECIDING, calls, strict=True):
        assert (asked, called, options) == (unit, method, {"seed": 3000 + 1 + 200_000})
        assert (clip == x).all()
    assert arrays["spearman"].tolist() == [[0.1, 0.4]] * 2
    assert arrays["beyond_paths"].tolist() == [[0.2, 0.5]] * 2
    assert arrays["ssim"].tolist() == [[0.3, 0.6]] * 2


@pytest.mark.parametrize(("key", "net", "window"), [
    ("perturbed-trained--r@0", "trained", WINDOWS[2]),
    ("perturbed-trained--s1", "trained", SYNTHETIC[1]),
    ("perturbed-reinit-01--r@0", "reinit-01", WINDOWS[2]),
])  # fmt: skip
def test_perturbation_is_of_the_network_and_the_window(
    key: str, net: str, window: Any, spied: Any
) -> None:
    _, (function, name, (_, asked), options) = spied(key)
    assert (function, name, asked, options) == ("perturb", net, window, {})


@pytest.mark.parametrize("net", ["trained", "twin"])
def test_shared_units_are_of_the_paired_clips(net: str, spied: Any) -> None:
    _, (function, name, (_, clips), _) = spied(f"shared-{net}")
    assert (function, name, clips) == ("answers", net, (6, 9))


def changed(before: dict[str, Piece], after: dict[str, Piece]) -> set[str]:
    """Kinds of pieces whose kept files are not used again."""
    assert set(before) == set(after)
    keys = [key for key, piece in before.items() if piece.file != after[key].file]
    return {key.split("--")[0] for key in keys}


def test_kept_work_is_used_for_what_it_is(nets: Networks) -> None:
    before = pieces(nets)
    assert changed(before, pieces(networks())) == set()
    seeded = changed(before, pieces(nets, replace(SETTINGS, seed=1)))
    assert seeded == {"randomised", "shared-trained", "shared-twin"} | {
        f"shuffled-{name}" for name in TURNS
    }
    # other weights: untrained networks of the same shape serve again
    other = changed(before, pieces(networks(seed=6)))
    assert other == {"trained", "permuted-0", "frozen", "randomised", "shared-trained"} | {
        "shuffled-trained", "perturbed-trained",
    }  # fmt: skip


def test_seeds_of_the_networks() -> None:
    seeds = {net.name: net.seed for net in recipes(11, 2, 4, twin=False)}
    assert list(seeds.values())[:2] == [None, 401_000]
    assert (seeds["reinit-10"], seeds["permuted-1"]) == (401_010, 402_001)
    assert "twin" not in seeds
