"""Files on disk: whole or not at all, equal bytes for equal content."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from c3d_viz import files
from c3d_viz.errors import ExportError


class StopError(Exception):
    """Stands for whatever stops a writer."""


def test_npz_bytes_do_not_depend_on_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {
        "noise": np.random.default_rng(0).normal(size=(3, 40, 40)).astype(np.float32),
        "zeros": np.zeros((3, 40, 40), np.float32),
        "name": "conv5b",
    }
    files.write_npz(tmp_path / "a.npz", arrays)
    monkeypatch.setattr("time.time", lambda: 4e9)
    files.write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as stored:
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value)
    assert (tmp_path / "a.npz").stat().st_size < 1.1 * arrays["noise"].nbytes


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"

    def write(failure: Exception) -> None:
        with files.whole_file(target) as part:
            part.write_bytes(b"half")
            raise failure

    with pytest.raises(StopError):
        write(StopError())
    assert list(tmp_path.iterdir()) == []
    target.write_bytes(b"old")
    with pytest.raises(ExportError, match="No space left"):
        write(OSError(28, "No space left on device"))
    assert target.read_bytes() == b"old"
    assert len(os.listdir(tmp_path)) == 1


def test_the_hash_of_a_folder_of_frames(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"one")
    (tmp_path / "2.png").write_bytes(b"two")
    before = files.sha256(tmp_path)
    assert before == files.sha256(tmp_path)
    (tmp_path / "2.png").rename(tmp_path / "3.png")
    assert files.sha256(tmp_path) != before


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"

    def fill(failure: Exception | None) -> None:
        with files.whole_folder(target) as part:
            (part / "a").write_text("a")
            assert part != target
            if failure is not None:
                raise failure

    with pytest.raises(StopError):
        fill(StopError())
    assert list(tmp_path.iterdir()) == []
    fill(None)
    assert [p.name for p in target.iterdir()] == ["a"]
    with pytest.raises(ExportError, match="cannot write"):
        fill(None)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_half_written_file_is_known_by_its_name(tmp_path: Path) -> None:
    for name in ("map.npz", "n" * 200):
        with files.whole_file(tmp_path / name) as part:
            assert files.is_part(part.name)
            part.write_bytes(b"")
    for name in ("map.npz", "mine.part", ".mine.part", ".part"):
        assert not files.is_part(name)


def test_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    assert files.read_json(path) is None
    files.write_json(path, {"név": [1, None]})
    assert "név" in path.read_text(encoding="utf-8")
    assert files.read_json(path) == {"név": [1, None]}
    for text in ("[" * 100_000, "[1]", "nonsense", "", '{"a": ' + "9" * 5000 + "}"):
        path.write_text(text)
        with pytest.raises(ExportError, match=r"a\.json is damaged"):
            files.read_json(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(ExportError, match="damaged"):
        files.read_json(path)
    path.write_text(json.dumps({"a": "b" * 100}))
    monkeypatch.setattr(files, "_MAX_JSON", 50)
    with pytest.raises(ExportError, match="damaged"):
        files.read_json(path)
    with pytest.raises(ExportError, match="is no ordinary file"):
        files.read_json(tmp_path)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff")
    files.write_json(tmp_path / name, {"path": name})
    assert (tmp_path / name).read_text(encoding="ascii") == '{\n "path": "a\\udcff"\n}\n'
    assert files.read_json(tmp_path / name) == {"path": name}
    assert len(files.sha256(tmp_path)) == 64


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free space or choose another folder"),
        (errno.EDQUOT, "free space or choose another folder"),
        (errno.EACCES, "choose a folder that you may write to"),
        (errno.EROFS, "choose a folder that you may write to"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
        (errno.ENOTDIR, "choose another folder"),
    ],
)
def test_the_hint_fits_the_reason(tmp_path: Path, number: int, hint: str) -> None:
    with (
        pytest.raises(ExportError, match=f"cannot write .*: {os.strerror(number)}; {hint}$"),
        files.whole_file(tmp_path / "a"),
    ):
        raise OSError(number, os.strerror(number))


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize(
    "place", ["/dev/null", "/dev/null/x", "/proc/x/y", "a/" + "n" * 300, "a/b\0c", "file/x", "link"]
)
def test_a_folder_is_tried_before_any_work(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("link").symlink_to("nowhere")
    with pytest.raises(
        ExportError, match=r"cannot write .*: .*; choose (another folder|a shorter name)$"
    ):
        files.try_folder(place)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    assert not Path("file").read_bytes()


def test_a_full_disk_is_met_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ExportError, match=r"No space left.*; free space or choose another"):
            files.try_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match="has no name"):
        files.try_folder("")


def test_a_folder_that_was_tried_is_as_before(tmp_path: Path) -> None:
    files.try_folder(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())
    (tmp_path / "trial").write_text("mine")
    files.try_folder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["trial"]
    assert (tmp_path / "trial").read_text() == "mine"


def test_a_folder_that_stays_empty_goes_again(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for place in ("there", "a/b", "there/c"):
        with contextlib.suppress(KeyError), files.kept_if_filled(tmp_path / place):
            assert (tmp_path / place).is_dir()
            raise KeyError
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    with files.kept_if_filled(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "work").touch()
    assert (tmp_path / "a" / "b" / "work").exists()


def test_a_name_with_a_nul(tmp_path: Path) -> None:
    for act in (files.whole_file, files.whole_folder):
        for name in ("a\0.mp4", "a\0/b.mp4"):
            with pytest.raises(ExportError, match="its name holds a NUL") as caught:
                act(tmp_path / name).__enter__()
            assert str(caught.value).isprintable()
    assert not list(tmp_path.iterdir())
