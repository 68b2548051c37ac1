"""What lies in a study's folder is looked through before any work; the figure at any size."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_training_depths import TINY, planted

from c3d_viz.errors import ExportError
from c3d_viz.training import commands
from c3d_viz.training.depths import Plan, run, study
from c3d_viz.training.depths.plan import MOST
from c3d_viz.training.depths.show import figure
from c3d_viz.work import _load

PLAN = dataclasses.replace(TINY, names=("depth-1",), clips=4, curve=2, test=3)
NET = "depth-1-seed-0"
OUTCOME = ("depths.json", "depths.md", "depths.png", f"{NET}/said-01.npz", f"{NET}/said-02.npz")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures, and a finished study of one network."""
    import cv2

    from c3d_viz.synthetic import WHATS

    root = tmp_path_factory.mktemp("study")
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 4), np.uint8)
    for folder in ("backgrounds", *(f"sprites/{what}" for what in WHATS)):
        (root / "data" / folder).mkdir(parents=True)
        channels = 3 if folder == "backgrounds" else 4
        for name in ("thing", "extra-thing"):  # test, train
            cv2.imwrite(str(root / "data" / folder / f"{name}.png"), image[..., :channels])
    return root / "data", run(root / "data", root / "out", PLAN)


def cut(path: Path, size: int = 50) -> None:
    path.write_bytes(path.read_bytes()[:size])


def gone_on(path: Path) -> None:
    path.unlink()


def other_shape(path: Path) -> None:
    np.savez(path, said=np.zeros((3, 3), np.int64))


@pytest.mark.parametrize(
    ("name", "damage", "says", "remove"),
    [
        ("checkpoint.pt", cut, "is damaged, or of another network.*remove it, and", ""),
        ("said-01.npz", cut, "is damaged; remove the folder", "."),
        ("said-02.npz", other_shape, "is damaged; remove the folder", "."),
        ("said-01.npz", gone_on, "is missing, and the network has gone on.*the folder", "."),
    ],
)
def test_a_damaged_network_is_one_line_and_its_remedy_helps(
    finished: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], None],
    says: str,
    remove: str,
) -> None:
    data, whole = finished
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    file = out / NET / name
    damage(file)
    monkeypatch.setattr("c3d_viz.training.depths.Plan", lambda: PLAN)
    with monkeypatch.context() as patch:
        patch.setattr(study, "rendered", None)  # no work before
        assert commands.main(["depths", str(data), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"c3d-viz: {file} ")
    assert re.search(says, error)
    if remove:
        shutil.rmtree(file.parent)
    else:
        file.unlink()
    assert commands.main(["depths", str(data), "-o", str(out)]) == 0
    for made in OUTCOME:
        assert (out / made).read_bytes() == (whole / made).read_bytes(), made


def test_other_files_of_a_study(finished: tuple[Path, Path], tmp_path: Path) -> None:
    data, whole = finished
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    for clips in (out / "clips").iterdir():  # are rendered again
        cut(clips, 200)
    assert [_load(clips) for clips in (out / "clips").iterdir()] == [None, None]
    run(data, out, PLAN)
    for clips in (out / "clips").iterdir():
        ours, theirs = _load(clips), _load(whole / "clips" / clips.name)
        assert ours is not None
        assert theirs is not None
        assert (ours["frames"] == theirs["frames"]).all()
    cut(out / "plan.json")
    with pytest.raises(ExportError, match=r"plan.json is damaged: .*; give another -o"):
        run(data, out, PLAN)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"clips": 6}, "clips must be 4 to 120,000 and a multiple of 4, got 6"),
        ({"clips": 0}, "clips must be 4 to"),
        ({"clips": 10**12}, "clips must be .*, got 1,000,000,000,000"),
        ({"epochs": 0}, "epochs must be 1 to 1,000, got 0"),
        ({"seeds": -1}, "seeds must be 1 to 1,000, got -1"),
    ],
)
def test_the_number_that_cannot_be_is_named(
    change: dict[str, int], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"^{says}"):
        run(tmp_path, tmp_path / "out", dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", MOST)
def test_an_option_has_the_bounds_of_its_plan(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    least = Plan().batch if name == "clips" else 1
    for wrong in (least - 1, MOST[name] + 12):
        words = ["depths", "data", "-o", str(tmp_path / "out"), f"--{name}", str(wrong)]
        assert commands.main(words) == 2
        bounds = f"argument --{name}: must be {least} to {MOST[name]:,}, got {wrong}"
        assert bounds in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("count", [12, 3000, 12_000])
def test_the_figure_cuts_nothing_off_and_covers_nothing(share: float, count: int) -> None:
    # the highest network is in the right column alone
    shares = {"depth-1": (0.0, 0.0), "depth-3": (0.1, 0.1), "increasing": (share, share)}
    clips, said = planted(shares, 60)
    names = tuple(shares)
    drawn = figure(said, clips, dataclasses.replace(TINY, names=names, seeds=2, clips=count))
    drawn.draw_without_rendering()
    for axis in drawn.axes:
        (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
        for line in axis.get_lines()[:-1]:
            x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
            assert ((left <= x) & (x < right) & (low <= y) & (y < high)).all()
        chance = axis.get_lines()[-1].get_ydata()[0]
        assert low < chance < high
        ticks = [text.get_text() for text in axis.get_xticklabels() if text.get_text()]
        assert all(tick.replace(",", "").isdecimal() for tick in ticks), ticks
        assert axis.get_legend() is None
    assert len(set(ticks)) == len(ticks) >= 3
    (legend,) = drawn.legends
    box = legend.get_window_extent()
    assert not any(box.overlaps(axis.get_tightbbox()) for axis in drawn.axes)
    said_of = [text.get_text() for text in legend.get_texts()]
    assert said_of == ["1 (2D)", "3", "3-3-5-5-7", "chance"]
