"""Measurements of tiny networks on windows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from tiny import tiny

from c3d_viz.clips import preprocess_frames
from c3d_viz.engine import activation, peak, top_units, trace
from c3d_viz.finding.measure.contrasts import paired_positional, positional
from c3d_viz.finding.measure.curves import curves
from c3d_viz.finding.measure.maps import measure
from c3d_viz.finding.measure.perturbation import _answers, perturb
from c3d_viz.finding.measure.stimulus import stimulus
from c3d_viz.finding.measure.windows import ClipWindow, frozen, synthetic_windows
from c3d_viz.finding.probe import Probe
from c3d_viz.methods import attribute_many
from c3d_viz.nets import COMPACT_INPUT


def test_one_pass_gives_the_maps_of_attribute_many() -> None:
    model, window = tiny(), synthetic_windows(1, 0)[0]
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    seen = Probe(model, x)
    units = top_units(trace(model, x, ["conv5b"]), "conv5b", 2)
    channels = seen.strongest(2)
    assert channels == [unit.channel for unit in units]
    for method in ("gradient", "guided", "deconvnet"):
        expected = np.stack([a.values for a in attribute_many(model, x, units, method)])
        np.testing.assert_allclose(
            seen.project(channels, method), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        )
    got = _answers(model, COMPACT_INPUT, [window.frames], units)[0]
    layer = trace(model, preprocess_frames(window.frames, COMPACT_INPUT), ["conv5b"]).activations[
        "conv5b"
    ]
    assert got == pytest.approx([float(layer[(u.channel, *u.at)]) for u in units], rel=1e-4)


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
    window = ClipWindow("n", "n", frames, "n", 0)
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


def test_both_directions_by_hand() -> None:
    """Oracle: attribute_many and curves, on the clip and on its frames in the other order."""
    model, window = tiny(), synthetic_windows(1, 3)[0]
    methods = ("guided", "gradient")
    got = measure(model, COMPACT_INPUT, window, methods, units=2)
    reversed_frames = window.frames[::-1].copy()
    channels = None
    for direction, frames in enumerate((window.frames, reversed_frames)):
        x = preprocess_frames(frames, COMPACT_INPUT)
        seen = trace(model, x, ["conv5b"])
        if channels is None:  # the reversed clip keeps the channels of the clip
            channels = [unit.channel for unit in top_units(seen, "conv5b", 2)]
        units = [peak(seen, "conv5b", channel) for channel in channels]
        assert got["at"][direction].tolist() == [list(unit.at) for unit in units]
        assert got["activation"][direction] == pytest.approx(
            [activation(seen, unit) for unit in units], rel=1e-4
        )
        for number, method in enumerate(methods):
            maps = np.stack([a.values for a in attribute_many(model, x, units, method)])
            by_hand = curves(maps, stimulus(frames))
            for key in ("A", "M", "E"):
                np.testing.assert_allclose(
                    got[key][direction, number], getattr(by_hand, key), atol=2e-3
                )
    assert got["channels"].tolist() == channels
    assert not np.allclose(got["A"], got["M"], atol=0.1, equal_nan=True)


def test_perturbation_by_hand() -> None:
    model, window = tiny(), synthetic_windows(1, 3)[0]
    got = perturb(model, COMPACT_INPUT, window, units=2)
    for direction, frames in enumerate((window.frames, window.frames[::-1].copy())):
        places = [tuple(at) for at in got["at"][direction]]

        def answer(changed: np.ndarray, places: list[tuple[int, ...]] = places) -> np.ndarray:
            x = preprocess_frames(changed, COMPACT_INPUT)
            layer = trace(model, x, ["conv5b"]).activations["conv5b"]
            pairs = zip(got["channels"], places, strict=True)
            return np.array([float(layer[(channel, *at)]) for channel, at in pairs])

        whole = answer(frames)
        for t in (1, 14):
            still, plain = frames.copy(), frames.copy()
            still[t] = frames[t - 1]
            plain[t] = cv2.GaussianBlur(frames[t], (0, 0), 3.0)
            for key, changed in (("motion", still), ("texture", plain)):
                expected = (whole - answer(changed)) / whole
                assert got[key][direction, :, t] == pytest.approx(expected, abs=2e-4)
    assert np.nanmax(np.abs(got["motion"] - got["texture"])) > 5e-3
