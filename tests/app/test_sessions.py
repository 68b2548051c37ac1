"""A session that ends takes its files, results and work along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import sessions, work
from app.sessions import GRACE, Session, Sessions, in_own_names
from app.tasks import begin
from app.uploads import Stored


def test_a_closed_session_takes_its_files_and_results_along(tmp_path: Path) -> None:
    register = Sessions()
    try:
        kept, gone = register.of("kept"), register.of("gone")
        assert register.of("gone") is gone
        file = gone.folder / "clip.mp4"
        file.write_bytes(b"x")
        gone.clips["upload"] = Stored(file, "clip.mp4", "digest-of-the-clip")
        work.CACHE.get(("window", "digest-of-the-clip", 0), lambda: b"x" * 100)
        now = 1e9
        register.reap(lambda name: True, now)
        assert file.is_file()
        assert register.reap(lambda name: name == "kept", now + GRACE - 1) == 2
        assert register.reap(lambda name: name == "kept", now + GRACE + 1) == 1
        assert not gone.folder.exists()
        assert kept.folder.is_dir()
        assert work.CACHE.get(("window", "digest-of-the-clip", 0), lambda: b"again") == b"again"
    finally:
        register.storage.close()


def test_a_session_that_ends_stops_its_work(tmp_path: Path) -> None:
    def endless(report: Callable[[int, int, str], None]) -> None:
        while True:
            report(0, 1, "")

    session = Session(tmp_path)
    session.jobs["x"] = job = begin("x", endless)
    session.close()
    job.wait(5)
    assert job.state == "cancelled"


def test_a_page_loaded_again_goes_on_with_its_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same browser's, and only one whose page is gone."""
    open_pages = {"other page", "somebody else"}
    runtime = SimpleNamespace(is_active_session=lambda name: name in open_pages)
    monkeypatch.setattr(sessions.Runtime, "exists", lambda: True)
    monkeypatch.setattr(sessions.Runtime, "instance", lambda: runtime)
    register = Sessions()
    try:
        before, other = register.of("before", "mine"), register.of("other page", "mine")
        foreign, nobody = register.of("somebody else", "theirs"), register.of("unknown", "")
        for session in (before, other, foreign, nobody):
            session.clips["upload-a"] = Stored(session.folder / "a.mp4", "a.mp4", "a")
        address = ("upload-a", "conv5b")
        assert register.of("new tab", "mine") not in (before, other)
        open_pages.add("new tab")
        assert register.of("again", "mine", address) is before
        open_pages.add("again")
        assert register.of("again", "mine", address) is before
        assert register.of("third", "mine", address) not in (before, other, foreign)
        assert register.of("fourth", "", address) is not nobody
        register.reap(lambda name: name in open_pages, 1e9)
        assert before.folder.is_dir()  # the old id is gone, the session is not
    finally:
        register.storage.close()


def test_tabs_of_one_browser_that_are_loaded_again_at_once_keep_their_own() -> None:
    register = Sessions()
    try:
        tabs = [register.of(f"tab {n}", "mine") for n in range(3)]
        for n, tab in enumerate(tabs[:2]):
            tab.clips[f"upload-{n}"] = Stored(tab.folder / "a.mp4", "a.mp4", str(n))
        tabs[2].weights = Stored(tabs[2].folder / "a.pth", "a.pth", "w")
        assert register.of("again 0", "mine", ("upload-0",)) is tabs[0]
        assert register.of("again 1", "mine", ("clip:upload-1",)) is tabs[1]  # what Compare has
        assert register.of("again 2", "mine", ("bikes", "upload")) is tabs[2]
        assert register.of("new", "mine", ("upload-7",)) not in tabs
    finally:
        register.storage.close()


def test_clips_are_kept_side_by_side_and_the_oldest_makes_room(tmp_path: Path) -> None:
    session = Session(tmp_path)

    def stored(n: int, copy: str = "") -> Stored:
        path = tmp_path / f"{n}{copy}.mp4"
        path.write_bytes(b"x")
        return Stored(path, f"clip {n}.mp4", f"{n:012} of a file")

    keys = [session.keep(stored(n)) for n in range(sessions.CLIPS)]
    assert keys == [f"upload-{n:012}" for n in range(sessions.CLIPS)]
    again = stored(1, "again")
    assert session.keep(again) == keys[1]  # the same content: the one that is there
    assert not again.path.exists()
    work.CACHE.get(("strip", "000000000000 of a file"), lambda: "kept")
    new = session.keep(stored(99))
    assert new == "upload-000000000099"
    assert list(session.clips) == [*keys[1:], new]
    assert not (tmp_path / "0.mp4").exists()
    assert (tmp_path / "1.mp4").exists()
    assert ("strip", "000000000000 of a file") not in work.CACHE


def test_a_browser_is_told_by_the_secret_under_the_mask() -> None:
    def cookie(secret: bytes, mask: bytes, time: int = 1) -> dict[str, str]:
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(secret))
        return {sessions.COOKIE: f"2|{mask.hex()}|{masked.hex()}|{time}"}

    one, two = bytes(range(16)), bytes(range(1, 17))
    assert sessions.browser_of(cookie(one, b"abcd")) == one.hex()
    assert sessions.browser_of(cookie(one, b"wxyz", 2)) == one.hex()
    assert sessions.browser_of(cookie(two, b"abcd")) == two.hex()
    for text in ("", "2|ab|cd|1", "x" * 60, "2|" + "0" * 8 + "|" + "g" * 32 + "|1"):
        assert sessions.browser_of({sessions.COOKIE: text}) == ""
    assert sessions.browser_of({}) == ""


def test_messages_name_a_file_as_its_person_does(tmp_path: Path) -> None:
    session = Session(tmp_path / "session-x")
    clip = Stored(tmp_path / "session-x" / "0123456789abcdef.mp4", "my clip.mp4", "d")
    session.clips["upload"] = clip
    text = f"{clip.path} is damaged; 0123456789abcdef.mp4, see {session.folder}/out"
    assert in_own_names(text, session) == "my clip.mp4 is damaged; my clip.mp4, see out"
