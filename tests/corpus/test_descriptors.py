"""A video as one vector, against a forward pass written anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Residual, state
from tiny import tiny
from torch import nn
from video_files import GOP, colour_noise

import c3d_viz as viz
from c3d_viz.corpus import describe
from c3d_viz.errors import ClipError, LayerError, VizError
from c3d_viz.nets import CAFFE_INPUT, InputSpec, ModelSpec

Make = Callable[..., Path]
SMALL = InputSpec(channel_order="RGB", mean=(100, 110, 120), scale=1 / 50, resize=20, crop=(16, 16),
                  frames=4)  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_video: Make) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    return make_video(folder / "noise.mp4", colour_noise(45, 40, 60), options=GOP)


def test_windows_of_every_second_frame_share_what_is_taken(video: Path) -> None:
    net = Residual().eval()
    found = describe(net, video, "first", overlap=1, spec=SMALL.replace(stride=2))
    assert found.starts.tolist() == list(range(0, 45 - 6, 6))  # four frames, one of them shared
    clip = viz.read_clip(video, 0, 22, 2)
    again = describe(net, clip, "first", overlap=1, spec=SMALL.replace(stride=2))
    assert again.starts.tolist() == found.starts.tolist()[: len(again.starts)]
    assert len(again.starts) == 7
    np.testing.assert_array_equal(again.windows, found.windows)


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def fc6_by_hand(net: nn.Module, frames: np.ndarray) -> np.ndarray:
    """The release's input and C3D up to fc6, from the paper and by PyTorch's functions alone."""
    small = [cv2.resize(f, (171, 128))[8:120, 29:141, ::-1].astype(np.float32) for f in frames]
    x = torch.from_numpy(np.stack(small) - np.float32([90.25, 97.66, 101.41])).permute(3, 0, 1, 2)
    w = net.state_dict()
    x = x[None]
    for group, names in enumerate((("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))):
        for name in names:
            weight, bias = w[f"conv{name}.weight"], w[f"conv{name}.bias"]
            x = F.conv3d(x, weight, bias, padding=(1, 1, 1)).clamp(min=0)
        x = F.max_pool3d(x, (1, 2, 2) if group == 0 else 2, ceil_mode=group == 4)
    return F.linear(x.reshape(1, -1), w["fc6.weight"], w["fc6.bias"]).clamp(min=0)[0].numpy()


def test_the_papers_protocol_by_hand(video: Path) -> None:
    net, frames = tiny(), frames_of(video)
    windows = np.stack([fc6_by_hand(net, frames[s : s + 16]) for s in (0, 8, 16, 24)])
    assert np.ptp(windows, axis=0).max() > 1e-3 * windows.max() > 0  # they are not one and the same
    mean = windows.astype(np.float64).mean(axis=0)
    made = describe(net, video, spec=CAFFE_INPUT)
    assert (made.vector.dtype, made.windows.dtype) == (np.float32, np.float32)
    assert made.starts.tolist() == [0, 8, 16, 24]
    assert made.frames == 45
    scale = windows.max()
    np.testing.assert_allclose(made.windows / scale, windows / scale, atol=1e-5)
    np.testing.assert_allclose(made.vector, mean / np.sqrt((mean**2).sum()), atol=1e-5)
    assert np.linalg.norm(made.vector.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    assert viz.describe is describe


@pytest.mark.parametrize(
    ("overlap", "starts"),
    [(0, [0, 4, 8]), (1, [0, 3, 6, 9]), (3, range(10)), (None, [0, 2, 4, 6, 8])],
)
def test_any_network_layer_and_overlap(overlap: int | None, starts: list[int]) -> None:
    frames = colour_noise(13, 20, 30, seed=3)
    clip = viz.Clip(frames, 25.0, "made", start=7, stride=2)
    net = Residual()  # with in-place ReLUs right behind the layers
    made = describe(net, clip, "stem", overlap, spec=SMALL)
    rows = []
    for s in starts:
        x = torch.from_numpy(frames[s : s + 4, 2:18, 7:23].astype(np.float32)).permute(3, 0, 1, 2)
        x = (x - torch.tensor([100.0, 110, 120]).reshape(3, 1, 1, 1)) / 50
        answer = F.conv3d(x[None], net.stem.weight, net.stem.bias, padding=1)
        assert answer.min() < 0  # before the ReLU
        rows.append(answer.mean(dim=(2, 3, 4))[0].detach().numpy())
    np.testing.assert_allclose(made.windows, rows, atol=1e-5)
    assert made.starts.tolist() == [7 + 2 * s for s in starts]


def test_batches_change_nothing(video: Path) -> None:
    net = tiny()
    one = describe(net, video, overlap=12, spec=CAFFE_INPUT, batch=1)
    assert len(one.windows) == 8
    for batch in (3, 8, 64):
        many = describe(net, video, overlap=12, spec=CAFFE_INPUT, batch=batch)
        assert many.starts.tolist() == one.starts.tolist()
        np.testing.assert_allclose(many.vector, one.vector, atol=1e-5)
        np.testing.assert_allclose(many.windows, one.windows, atol=1e-5 * one.windows.max())


def test_a_spec_of_a_model_says_its_input(video: Path) -> None:
    net = tiny()
    spec = ModelSpec("c3d", "made", False, CAFFE_INPUT, 4)
    ours = describe(net, video, spec=spec)
    assert ours.vector.tobytes() == describe(net, video, spec=CAFFE_INPUT).vector.tobytes()
    other = describe(net, video, spec=CAFFE_INPUT.replace(channel_order="RGB"))
    assert not np.array_equal(ours.vector, other.vector)


def test_a_network_in_training_mode_and_its_state(video: Path) -> None:
    net = tiny().train()
    before = state(net)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        made = describe(net, video, "fc7", spec=CAFFE_INPUT)
    assert state(net) == before
    still = describe(tiny(), video, "fc7", spec=CAFFE_INPUT)
    assert made.vector.tobytes() == still.vector.tobytes()
    with pytest.raises(LayerError, match="fc9"):
        describe(net, video, "fc9", spec=CAFFE_INPUT)
    assert state(net) == before


def test_how_far_it_is_and_a_stop_between(video: Path) -> None:
    told: list[tuple[int, int]] = []
    describe(tiny(), video, spec=CAFFE_INPUT, batch=3, progress=lambda d, n, w: told.append((d, n)))
    assert told == [(3, 4), (4, 4)]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        describe(tiny(), video, spec=CAFFE_INPUT, batch=1, progress=stop)
    assert threading.active_count() == threads


def test_a_row_is_taken_before_a_relu_in_place_overwrites_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 16 * 16, 6), nn.ReLU(inplace=True))
    clip = viz.Clip(colour_noise(8, 20, 30), 25.0, "made", 0)
    before = describe(net, clip, "1", 0, spec=SMALL).windows
    assert before.min() < 0
    np.testing.assert_array_equal(
        describe(net, clip, "2", 0, spec=SMALL).windows, before.clip(min=0)
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overlap": 16}, "overlap must be 0 to 15 frames"),
        ({"overlap": -1}, "overlap must be 0 to 15 frames"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"layer": "fc66"}, "fc66"),
    ],
)
def test_one_line_for_what_is_wrong(video: Path, options: dict, said: str) -> None:
    with pytest.raises(VizError, match=said):
        describe(tiny(), video, spec=CAFFE_INPUT, **options)


def test_videos_without_a_descriptor(tmp_path: Path, make_video: Make, video: Path) -> None:
    short = make_video(tmp_path / "short.mp4", colour_noise(15, 40, 60))
    with pytest.raises(ClipError, match=r"short\.mp4 has 15 frames; a window of 16 needs 16"):
        describe(tiny(), short, spec=CAFFE_INPUT)
    dead = tiny()
    dead.fc6.weight.zero_()
    dead.fc6.bias.zero_()
    with pytest.raises(VizError, match=r"fc6 answers zero to every window of .*noise\.mp4"):
        describe(dead, video, spec=CAFFE_INPUT)
    dead.fc6.bias.fill_(float("nan"))
    with pytest.raises(VizError, match=r"fc6 holds NaN .*noise\.mp4"):
        describe(dead, video, spec=CAFFE_INPUT)


def test_a_layer_without_a_row_for_each_window(video: Path) -> None:
    net = nn.Sequential(nn.Conv3d(3, 2, 3), nn.Flatten(0))
    with pytest.raises(LayerError, match="not a row of channels"):
        describe(net, video, "1", 0, spec=SMALL)
