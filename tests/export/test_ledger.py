"""What an export finds in its folder: its own files by their hashes, and those of other people."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from exported import Loaded, StopError, files, manifest_of

from c3d_viz.errors import ExportError
from c3d_viz.export.ledger import NOTES, Ledger
from c3d_viz.export.run import export_clip
from c3d_viz.export.settings import ExportSettings

WANTED: dict[str, Any] = {"layers": "conv1a", "top": 1}
PART = f"-{'7f' * 16}.part"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, clip: Path, loaded: Loaded) -> Path:
    out = tmp_path_factory.mktemp("small") / "out"
    export_clip(clip, out, loaded=loaded, **WANTED)
    return out


@pytest.fixture
def out(small: Path, tmp_path: Path) -> Path:
    """A copy of a finished export of one map."""
    return Path(shutil.copytree(small, tmp_path / "out"))


def made(out: Path) -> dict[str, str]:
    """Hashes of all files but the two that name the folder they are in."""
    found = files(out)
    assert {found.pop("index.html"), found.pop("manifest.json")}
    return found


def unit(out: Path) -> Path:
    return next((out / "conv1a" / "deconvnet").glob("ch*"))


def test_a_manifest_has_the_hash_of_every_file(small: Path) -> None:
    listed = manifest_of(small)["files"]
    assert list(listed) == sorted(listed)
    assert {**listed, "manifest.json": files(small)["manifest.json"]} == files(small)


@pytest.mark.parametrize("name", ["input.mp4", "map.npz", "sheet.png", "index.html"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped"])
def test_resuming_makes_again_what_is_damaged(
    out: Path, clip: Path, loaded: Loaded, name: str, damage: str
) -> None:
    (path,) = out.rglob(name)
    before, data = made(out), path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes({"empty": b"", "cut": data[:-9], "flipped": flipped}[damage])
    export_clip(clip, out, resume=True, loaded=loaded, **WANTED)
    assert made(out) == before
    assert "</main>" in (out / "index.html").read_text()[-9000:]
    assert manifest_of(out)["files"]["index.html"] == files(out)["index.html"]


def test_a_stopped_export_notes_what_is_whole(
    small: Path, tmp_path: Path, clip: Path, loaded: Loaded
) -> None:
    out = tmp_path / "out"

    def stop(done: int, total: int, what: str) -> None:
        raise StopError

    with pytest.raises(StopError):
        export_clip(clip, out, loaded=loaded, progress=stop, **WANTED)
    with (out / NOTES).open("a") as notes:
        notes.write('5\n["index.html"\n')  # a line cut short does no harm
    (out / "conv1a" / "activations.npz").write_bytes(b"")
    export_clip(clip, out, resume=True, loaded=loaded, **WANTED)
    assert made(out) == made(small)


@pytest.mark.parametrize(
    "name", ["index.html", "input.mp4", "conv2a/activations.npz", "conv2a/deconvnet/ch0001/map.npz"]
)
@pytest.mark.parametrize("kind", ["folder", "pipe", "file"])
def test_what_is_in_the_way_is_met_before_anything_is_removed(
    out: Path, clip: Path, loaded: Loaded, name: str, kind: str
) -> None:
    place = out / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if kind == "file":
        if not name.startswith("conv2a"):
            return  # it is listed: ours to replace
        place.write_text("mine")
    else:
        {"folder": Path.mkdir, "pipe": os.mkfifo}[kind](place)  # type: ignore[operator]
    before = files(out)
    with pytest.raises(ExportError, match=rf"{name} is in the way: .*; move it"):
        export_clip(clip, out, overwrite=True, loaded=loaded, **{**WANTED, "layers": "conv2a"})
    assert files(out) == before


def test_a_file_for_a_folder_is_in_the_way(out: Path, clip: Path, loaded: Loaded) -> None:
    (out / "conv2a").write_text("mine")
    before = files(out)
    with pytest.raises(ExportError, match="conv2a is in the way: it is no folder"):
        export_clip(clip, out, overwrite=True, loaded=loaded, **{**WANTED, "layers": "conv2a"})
    assert files(out) == before


def test_only_what_is_listed_is_removed(out: Path, clip: Path, loaded: Loaded) -> None:
    mine = {
        out / "conv1a" / "deconvnet" / "ch0099" / "map.npz",
        unit(out) / f".x{PART}",
        out / f".notes.txt{PART}",
        out / "conv1a" / "deconvnet" / "ch0099" / f".map.npz{PART}",
    }
    ours = {unit(out) / f".map.npz{PART}", out / f".manifest.json{PART}", unit(out) / "map.npz"}
    for path in mine | ours:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    export_clip(clip, out, overwrite=True, loaded=loaded, **{**WANTED, "layers": "conv2a"})
    assert all(path.read_text() == "mine" for path in mine)
    assert not any(path.exists() for path in ours)
    left = {path for path in out.rglob("*") if path.is_file()} - mine
    assert not [path for path in left if "conv1a" in path.parts]


def test_an_export_without_hashes_is_replaced(out: Path, clip: Path, loaded: Loaded) -> None:
    """As an earlier edition wrote it."""
    manifest = manifest_of(out)
    del manifest["files"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    export_clip(clip, out, overwrite=True, loaded=loaded, **{**WANTED, "layers": "conv2a"})
    assert not (out / "conv1a").exists()


@pytest.mark.parametrize("choice", [{"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize("kind", ["hardlink_to", "symlink_to"])
def test_notes_with_a_name_elsewhere_are_not_written_to(
    out: Path, clip: Path, loaded: Loaded, choice: dict[str, bool], kind: str
) -> None:
    """Everything else is written beside its name: a hard link's other end stays as it was."""
    mine = out.parent / "mine.txt"
    mine.write_text("mine")
    getattr(out / NOTES, kind)(mine)
    before = files(out)
    with pytest.raises(ExportError, match=r"unfinished\.jsonl is a link"):
        export_clip(clip, out, loaded=loaded, **WANTED, **choice)
    with pytest.raises(ExportError, match=r"is a link, .*remove it"), Ledger(out).held():
        pass
    assert (files(out), mine.read_text()) == (before, "mine")
    (out / NOTES).unlink()
    (unit(out) / "map.npz").unlink()
    (unit(out) / "map.npz").hardlink_to(mine)
    (out / "manifest.json").rename(out.parent / "kept.json")
    (out / "manifest.json").hardlink_to(out.parent / "kept.json")
    kept = (out.parent / "kept.json").read_text()
    export_clip(clip, out, loaded=loaded, **WANTED, **choice)
    assert (mine.read_text(), (out.parent / "kept.json").read_text()) == ("mine", kept)


@pytest.mark.parametrize("choice", [{"overwrite": True}, {"resume": True}])
def test_one_export_at_a_time(
    out: Path, clip: Path, loaded: Loaded, choice: dict[str, bool]
) -> None:
    pytest.importorskip("fcntl")
    before = made(out)
    with Ledger(out).held():
        with pytest.raises(ExportError, match="out is being written by another export; wait"):
            export_clip(clip, out, loaded=loaded, **WANTED, **choice)
        assert made(out).items() >= before.items()
    export_clip(clip, out, loaded=loaded, **WANTED, **choice)
    assert made(out) == before


def test_a_full_disk_says_how_to_go_on(
    tmp_path: Path, clip: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise ExportError(f"cannot write {path}: No space left on device; free space")

    with monkeypatch.context() as patch:
        patch.setattr("c3d_viz.export.artefacts.write_npz", full)
        with pytest.raises(ExportError, match=r"map\.npz.*free space; .*go on with --resume$"):
            export_clip(clip, tmp_path / "out", loaded=loaded, **WANTED)
    assert export_clip(clip, tmp_path / "out", resume=True, loaded=loaded, **WANTED).is_file()


@pytest.mark.parametrize("odd", [b"b\xff", b"line\nbreak\x1b[31m'"])
def test_names_that_cannot_be_printed(
    tmp_path: Path, clip: Path, loaded: Loaded, odd: bytes
) -> None:
    name = os.fsdecode(odd)
    path, out = tmp_path / f"{name}.mp4", tmp_path / name
    try:
        shutil.copy(clip, path)
    except OSError:
        pytest.skip("this file system takes no such name")
    export_clip(path, out, loaded=loaded, **WANTED)
    manifest = manifest_of(out)
    assert manifest["clip"]["path"] == str(path)
    assert manifest["clip"]["name"].isprintable()
    assert manifest["command"].isprintable()
    assert manifest["clip"]["name"] in (out / "index.html").read_text(encoding="utf-8").replace(
        "&#x27;", "'"
    )
    words = ["bash", "-c", f"printf '%s\\0' {manifest['command']}"]
    said = subprocess.run(words, capture_output=True, check=True).stdout.split(b"\0")
    assert said[2:5] == [os.fsencode(path), b"-o", os.fsencode(out)]
    assert ExportSettings().command("a b", "c").startswith("c3d-viz export 'a b' -o c ")
