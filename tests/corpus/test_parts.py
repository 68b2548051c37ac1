"""Two runs into one output: the second is told so, shares go side by side, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from atlases import SMALL
from small_net import SMALL_NET
from video_files import GOP, colour_noise

from c3d_viz.corpus import FeatureSettings, write_atlas, write_features
from c3d_viz.corpus.parts import fcntl, held
from c3d_viz.errors import ExportError

CONV = FeatureSettings(SMALL_NET, "conv2a")
locks = pytest.mark.skipif(fcntl is None, reason="this system has no such locks")


@pytest.fixture
def video(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    return make_video(tmp_path / "a.mp4", colour_noise(24, 32, 48), options=GOP)


@locks
def test_a_second_run_into_one_table_is_one_line(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"

    def again(*_: object) -> None:
        with pytest.raises(
            ExportError, match=r"another run is at work in .*f\.parquet\.parts; wait"
        ):
            write_features([video], out, CONV)
        again.met = True  # type: ignore[attr-defined]

    assert write_features([video], out, CONV, progress=again).rows == 1
    assert again.met  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "f.parquet"]


@locks
def test_shares_of_an_atlas_go_side_by_side(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "atlas"

    with held(tmp_path / "atlas.parts", shared=True):
        write_atlas([video], out, SMALL, share=(1, 2))
        with pytest.raises(ExportError, match="another run is at work"):
            write_atlas([video], out, SMALL)
    with held(tmp_path / "atlas.parts"), pytest.raises(ExportError, match="another run is at work"):
        write_atlas([video], out, SMALL, share=(1, 2))
    assert write_atlas([video], out, SMALL).videos == 1


def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Without:
        LOCK_EX = LOCK_SH = LOCK_NB = 0

        @staticmethod
        def flock(*_: object) -> None:
            raise OSError(95, "Operation not supported")

    for locks in (None, Without):
        monkeypatch.setattr("c3d_viz.corpus.parts.fcntl", locks)
        with held(tmp_path / "parts"), held(tmp_path / "parts"):
            assert (tmp_path / "parts").is_dir()
    assert not (tmp_path / "parts").exists()
