"""The whole test and the figure, on tiny networks; and the checks of maps against weights."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from c3d_viz import finding
from c3d_viz.engine.tracing import Unit, top_units, trace
from c3d_viz.errors import LayerError, ShapeError
from c3d_viz.finding.controls import paired_positional, positional
from c3d_viz.finding.probe import Pass, _answers, measure, perturb
from c3d_viz.finding.study import run
from c3d_viz.finding.types import StudySettings
from c3d_viz.finding.windows import Window, frozen, synthetic_windows
from c3d_viz.methods.registry import Attribution, attribute, attribute_many
from c3d_viz.nets.c3d import C3D, initialise
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.trust import validity
from c3d_viz.weights import save_model


def tiny(depth: int = 3, seed: int = 5) -> C3D:
    model = C3D(4, 4, (depth,) * 5, 8)
    initialise(model, seed)
    model.requires_grad_(False)
    for module in model.children():
        if isinstance(module, torch.nn.Conv3d):
            module.bias.fill_(0.1)  # so narrow a network would fall silent without it
    return model.eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny checkpoints and two folders of frames."""
    root = tmp_path_factory.mktemp("finding")
    for name, depth in (("compact", 3), ("compact-2d", 1)):
        spec = ModelSpec(name, f"tiny {name}", True, COMPACT_INPUT, 4, tuple("abcd"))
        save_model(root / f"{name}.safetensors", tiny(depth), spec)
    for window in synthetic_windows(1, 9):
        folder = root / "clips" / window.name
        folder.mkdir(parents=True)
        for t, frame in enumerate(window.frames):
            whole = cv2.copyMakeBorder(frame, 8, 8, 29, 30, cv2.BORDER_REFLECT)
            cv2.imwrite(str(folder / f"{t}.png"), whole[..., ::-1])
    return root


def test_one_pass_gives_the_maps_of_attribute_many() -> None:
    model, window = tiny(), synthetic_windows(1, 0)[0]
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    seen = Pass(model, x)
    units = top_units(trace(model, x, ["conv5b"]), "conv5b", 2)
    channels = seen.strongest(2)
    assert channels == [unit.channel for unit in units]
    for method in ("gradient", "guided", "deconvnet"):
        expected = np.stack([a.values for a in attribute_many(model, x, units, method)])
        np.testing.assert_allclose(
            seen.project(channels, method), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        )
    got = _answers(model, COMPACT_INPUT, [window.frames], units)[0]
    layer = trace(model, _input(window.frames), ["conv5b"]).activations["conv5b"]
    assert got == pytest.approx([float(layer[(u.channel, *u.at)]) for u in units], rel=1e-4)


def _input(frames: np.ndarray) -> torch.Tensor:
    from c3d_viz.clips.clip import preprocess_frames

    return preprocess_frames(frames, COMPACT_INPUT)


def test_measure_keeps_channels_and_logs_positions() -> None:
    window = synthetic_windows(1, 0)[0]
    got = measure(tiny(), COMPACT_INPUT, window, ("gradient",), units=2)
    assert got["A"].shape == (2, 1, 2, 16)
    assert got["at"].shape == (2, 2, 3)
    assert np.isfinite(got["A"][..., 1:15]).any()
    assert (got["why_a"][..., 0] == 1).all()
    np.testing.assert_allclose(got["E"].sum(-1), 1, rtol=1e-5)


def test_a_network_without_temporal_convolution_has_no_positional_part() -> None:
    """Its maps mirror exactly on the reversed clip, so P is 0 but for ties: the sharp control."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 14, 14, 3)).astype(np.uint8)
    frames = np.stack([cv2.resize(f, (112, 112), interpolation=cv2.INTER_CUBIC) for f in noise])
    window = Window("n", "n", frames, "n", 0)
    methods = ("gradient", "guided")
    flat = measure(tiny(1), COMPACT_INPUT, window, methods, units=2)
    assert np.isfinite(flat["A"]).any()
    assert np.isnan(positional(flat)["guided"][0])  # each unit sees one half only
    assert paired_positional(flat)["guided"] == pytest.approx(0, abs=1e-3)
    deep = measure(tiny(3), COMPACT_INPUT, window, methods, units=2)
    assert abs(paired_positional(deep)["guided"]) > 1e-3


def test_perturbation_of_a_still_clip_loses_no_motion() -> None:
    window = frozen(synthetic_windows(1, 0)[0])
    got = perturb(tiny(), COMPACT_INPUT, window, units=2)
    assert np.nanmax(np.abs(got["motion"])) < 1e-5
    assert np.nanmax(np.abs(got["texture"])) > 1e-3
    assert np.isnan(got["motion"][..., [0, 15]]).all()


SMALL = dict(reinit=2, permuted_nets=1, shuffles=2, per_kind=1, synthetic_reinit=1, pairs=2)


@pytest.mark.slow
def test_the_whole_test_runs_resumes_and_repeats(files: Path, tmp_path: Path) -> None:
    settings = StudySettings(
        weights=str(files / "compact.safetensors"),
        twin_weights=str(files / "compact-2d.safetensors"),
        **SMALL,  # type: ignore[arg-type]
    )
    told: list[tuple[int, int, str]] = []
    out = tmp_path / "out"
    result = run([files / "clips"], out, settings, progress=lambda *what: told.append(what))
    assert result.answer in ("inconclusive", "invalid")  # two untrained networks decide nothing
    assert told[-1][0] == told[-1][1]
    data = json.loads((out / "result.json").read_text())
    by_name = {control["name"]: control["status"] for control in data["controls"]}
    assert list(by_name) == [
        "frozen", "shuffled", "reversed", "positive", "re-initialised", "weight permutation",
        "2D twin", "weight randomisation", "perturbation",
    ]  # fmt: skip
    assert by_name["frozen"] == by_name["reversed"] == "right"
    assert by_name["re-initialised"] == "undetermined"
    assert [w["start"] for w in data["windows"][:2]] == [0, 0]
    seeds = {n["name"]: n["seed"] for n in data["networks"]}
    assert seeds["reinit-01"] == 1001
    assert data["model"]["weights"]
    page = (out / "report.html").read_text()
    assert data["verdict"]["sentence"].split(":")[0] in page
    assert "http" not in page.replace("http-equiv", "")
    for name in ("effect", "curves", "clips", "energy", "depth", "units"):
        assert (out / f"{name}.png").stat().st_size > 5000
    stored = np.load(out / "curves.npz")
    assert stored["trained/appearance-first-0@0/A"].shape[-1] == 16

    # again from what was kept: the same numbers, nothing measured
    first = (out / "result.json").read_text()
    cached = {p.name: p.stat().st_mtime_ns for p in (out / "cache").iterdir()}
    run([files / "clips"], out, settings)
    assert {p.name: p.stat().st_mtime_ns for p in (out / "cache").iterdir()} == cached
    assert (out / "result.json").read_text() == first


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["conv2a", "conv5b"])
def test_the_figure_of_any_layer(files: Path, tmp_path: Path, layer: str) -> None:
    clip = files / "clips" / "appearance-first-0"
    written = finding.make_figure(
        clip, tmp_path, layer=layer, weights=files / "compact.safetensors", method="guided"
    )
    assert [p.suffix for p in written] == [".png", ".pdf", ".mp4"]
    image = cv2.imread(str(written[0]))
    assert image.shape[1] == 3200
    assert image.std() > 10
    assert written[1].read_bytes().startswith(b"%PDF")
    with av.open(str(written[2])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 16


def test_the_figure_refuses_what_it_cannot_draw(files: Path, tmp_path: Path) -> None:
    clip = files / "clips" / "appearance-first-0"
    weights = files / "compact.safetensors"
    with pytest.raises(LayerError, match="conv layer"):
        finding.make_figure(clip, tmp_path, layer="fc6", weights=weights)
    with pytest.raises(LayerError, match="no method"):
        finding.make_figure(clip, tmp_path, method="magic", weights=weights)
    with pytest.raises(LayerError, match="1 to 32"):
        finding.make_figure(clip, tmp_path, maps=99, weights=weights)
    assert not list(tmp_path.iterdir())


def test_permuted_and_reinitialised_networks() -> None:
    model = tiny()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    mixed, again = validity.permuted(model, 1), validity.permuted(model, 1)
    fresh = validity.reinitialised(model, 7)
    for name, values in model.state_dict().items():
        assert torch.equal(values, before[name])  # the original is left alone
        assert torch.equal(mixed.state_dict()[name], again.state_dict()[name])
        if name.endswith("weight"):
            assert torch.equal(
                mixed.state_dict()[name].flatten().sort().values, values.flatten().sort().values
            )
            assert not torch.equal(mixed.state_dict()[name], values)
            assert not torch.equal(fresh.state_dict()[name], values)


def test_layers_are_randomised_from_the_top() -> None:
    model = tiny()
    names = ("conv5b", "conv5a")
    for depth, (name, network) in enumerate(validity.randomised_top_down(model, names, 0), 1):
        assert name == names[depth - 1]
        changed = {
            key.split(".")[0]
            for key, values in network.state_dict().items()
            if key.endswith("weight") and not torch.equal(values, model.state_dict()[key])
        }
        assert changed == set(names[:depth])
    with pytest.raises(LayerError):
        list(validity.randomised_top_down(model, ["relu5b"], 0))


def test_weight_randomisation_starts_at_one() -> None:
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    found = validity.weight_randomisation(tiny(), x, Unit("conv3a", 0), "gradient", seed=1)
    assert [s.layer for s in found] == ["none", "conv3a", "conv2a", "conv1a"]
    assert (found[0].spearman, found[0].ssim) == (1.0, 1.0)
    # SSIM, not the rank correlation: outside the unit's field every map is 0, and equal ranks
    # there leave so small a unit's rank correlation near 1 whatever its weights are
    assert found[1].ssim < 0.999
    assert all(s.ssim < 0.999 for s in found[1:] if np.isfinite(s.ssim))
    with pytest.raises(LayerError, match="conv layer"):
        validity.weight_randomisation(tiny(), x, Unit("fc6", 0), "gradient")


def test_path_counts_are_the_gradient_of_a_net_of_ones() -> None:
    """Oracle: average pooling times its size sends one path per cell, so a linear net counts."""
    unit = Unit("conv3b", 0, (2, 5, 9))
    ones = torch.zeros(1, 1, 16, 112, 112, requires_grad=True)
    x, kernel = ones, torch.ones(1, 1, 3, 3, 3)
    for step in ("conv", (1, 2, 2), "conv", (2, 2, 2), "conv", "conv"):
        if step == "conv":
            x = torch.nn.functional.conv3d(x, kernel, padding=1)
        else:
            x = torch.nn.functional.avg_pool3d(x, step) * float(np.prod(step))
    x[0, 0, 2, 5, 9].backward()
    counts = validity.path_counts(tiny(), unit)
    np.testing.assert_allclose(counts, ones.grad[0, 0].numpy())


def test_ssim_and_map_similarity() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(size=(2, 40, 40)).astype(np.float32)
    assert validity.ssim(a, a) == pytest.approx(1.0)
    assert validity.ssim(a, 1 - a) < 0
    maps = rng.normal(size=(3, 4, 40, 40)).astype(np.float32)
    assert validity.map_similarity(maps, -2 * maps) == pytest.approx((1, 1, 1))
    other = rng.normal(size=maps.shape).astype(np.float32)
    assert abs(validity.map_similarity(maps, other)[0]) < 0.2
    assert np.isnan(validity.map_similarity(maps, maps * 0)).all()
    with pytest.raises(ShapeError):
        validity.map_similarity(maps, maps[:, :2])


def test_deletion_and_insertion_of_a_unit_that_sees_one_corner() -> None:
    """A linear unit whose whole answer comes from 1 % of the pixels: gone at the first step."""
    model = torch.nn.Sequential(torch.nn.Conv3d(3, 1, 1, bias=False), torch.nn.ReLU())
    torch.nn.init.ones_(model[0].weight)
    x = torch.ones(1, 3, 4, 10, 10)
    values = np.zeros((3, 4, 10, 10), np.float32)
    values[:, 1, 2, 3] = 1.0
    att = Attribution(values, Unit("1", 0, (1, 2, 3)), "gradient", 3.0)
    got = validity.deletion_insertion(model, x, att, steps=10)
    assert got.share.tolist() == pytest.approx([i / 10 for i in range(11)])
    assert got.deletion.tolist() == [1.0] + [0.0] * 10
    assert got.insertion.tolist() == [0.0] + [1.0] * 10
    assert got.deletion_area == pytest.approx(0.05)
    assert got.insertion_area == pytest.approx(0.95)
    exact = attribute(model, x, Unit("1", 0, (1, 2, 3)), "gradient")
    assert validity.deletion_insertion(model, x, exact).deletion_area == pytest.approx(0.05)
    with pytest.raises(ShapeError):
        validity.deletion_insertion(model, x[:, :, :2], att)
