"""Training: fine-tuning on folders of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from c3d_viz.errors import ClipError, WeightsError
from c3d_viz.nets.c3d import C3D, initialise
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.render.media import write_video
from c3d_viz.training import loop, videos
from c3d_viz.training.nets import to_c3d
from c3d_viz.weights import load_model


def moving_bar(path: Path, seed: int, frames: int = 20) -> None:
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 60, (frames, 64, 80, 3), np.uint8)
    for t in range(frames):
        video[t, :, (3 * t) % 70 : (3 * t) % 70 + 8] = 255
    write_video(path, video, 25)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for number, name in enumerate(("Jump", "Run")):
        (root / name).mkdir(parents=True)
        for group in (1, 2):
            moving_bar(root / name / f"v_{name}_g0{group}_c01.mp4", 10 * number + group)
    (root / "Run" / "broken.avi").write_bytes(b"RIFF nothing of use")
    moving_bar(root / "Run" / "short.mp4", 5, frames=9)
    (root / "Run" / "notes.txt").write_text("not a video")
    return root


def test_scan_reports_bad_files_and_goes_on(dataset: Path) -> None:
    found = videos.scan(dataset)
    assert found.classes == ("Jump", "Run")
    assert found.labels == (0, 0, 1, 1)
    assert found.lengths == (20, 20, 20, 20)
    assert sorted(path.name for path, _ in found.bad) == ["broken.avi", "short.mp4"]
    assert all("\n" not in why for _, why in found.bad)
    train, val = videos.divided(found, held_out=0.5)
    assert [found.paths[i].name[-11:-8] for i in val] == ["g02", "g02"]
    assert sorted(train + val) == [0, 1, 2, 3]


def test_clips_of_one_group_stay_together() -> None:
    names = [f"v_Jump_g{g:02d}_c{c:02d}.avi" for g in range(1, 11) for c in (1, 2)]
    paths = tuple(Path("Jump") / n for n in names)
    found = videos.VideoSet(("Jump",), paths, (0,) * 20, (30,) * 20, ())
    train, val = videos.divided(found, 0.2)
    groups = [{paths[i].stem[:-4] for i in part} for part in (train, val)]
    assert not groups[0] & groups[1]
    assert len(val) == 4


def test_fine_tuning_on_own_videos(dataset: Path, tmp_path: Path) -> None:
    start = C3D(7, width=2, fc=8).eval()
    initialise(start, 0)
    spec = ModelSpec("compact", "tiny: a test", True, COMPACT_INPUT, 7)
    settings = loop.Settings(steps=2, batch=2, lr=1e-3)
    out = tmp_path / "run"
    path, found = videos.train_videos(dataset, out, settings, init=(start, spec), held_out=0.5)
    assert len(found.bad) == 2
    assert "broken.avi" in (out / "bad-files.txt").read_text()
    model, loaded = load_model("c3d", weights=path)
    assert loaded.classes == ("Jump", "Run")
    assert loaded.weights == "trained on videos: 2 classes, 4 clips, from tiny"
    assert loaded.input == COMPACT_INPUT
    with torch.no_grad():
        assert model(torch.randn(1, 3, 16, 112, 112)).shape == (1, 2)
    moved = (model.conv3a.weight - start.conv3a.weight).detach().abs().max()
    assert 0 < float(moved) < 0.05  # fine-tuned, not started anew
    (dataset / "Jump").rename(dataset / "Leap")
    with pytest.raises(ClipError, match="other classes"):
        videos.train_videos(dataset, out, settings, init=(start, spec))


def test_starting_from_a_model_keeps_all_below_fc8() -> None:
    start = C3D(7, width=2, fc=8, pool5="padded").eval()
    initialise(start, 3)
    again = to_c3d(videos.initial_net(3, start).eval())
    for key, value in start.state_dict().items():
        if not key.startswith("fc8"):
            assert torch.allclose(again.state_dict()[key], value), key
    assert again.pool5_form == "padded"
    with pytest.raises(WeightsError, match="temporal depths"):
        videos.initial_net(3, C3D(7, width=2, fc=8, temporal_depths=(3, 3, 5, 5, 7)))


def test_a_video_that_breaks_later_is_replaced(dataset: Path) -> None:
    found = videos.scan(dataset)
    found.paths[0].write_bytes(b"gone bad")
    notes: list[str] = []
    batch = videos.window_batches(found, [0, 1, 2, 3], 12, notes)
    x, label = batch(1, 0.0)
    assert x.shape == (12, 3, 16, 112, 112)
    assert set(label.tolist()) == {0, 1}
    assert notes
    assert found.paths[0].name in notes[0]


@pytest.mark.parametrize(
    ("folders", "says"),
    [((), "0 class folders"), (("A",), "1 class folders"), (("A", "B"), "no usable video in A, B")],
)
def test_a_folder_that_is_no_data_set(tmp_path: Path, folders: tuple[str, ...], says: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(ClipError, match=says):
        videos.scan(tmp_path)


@pytest.mark.parametrize("content", ["{", "3", '["other", "classes"]'])
def test_a_list_of_classes_that_is_damaged_or_another(
    dataset: Path, tmp_path: Path, content: str
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "classes.json").write_text(content)
    with pytest.raises(
        ClipError, match=r"holds a run on other classes, or classes.json .* another"
    ):
        videos.train_videos(dataset, out, loop.Settings(steps=1))
    assert (out / "classes.json").read_text() == content
