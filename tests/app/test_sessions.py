"""A session that ends takes its files, results and work along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app import work
from app.sessions import GRACE, Session, Sessions
from app.tasks import begin
from app.uploads import Stored


def test_a_closed_session_takes_its_files_and_results_along(tmp_path: Path) -> None:
    register = Sessions()
    try:
        kept, gone = register.of("kept"), register.of("gone")
        assert register.of("gone") is gone
        file = gone.folder / "clip.mp4"
        file.write_bytes(b"x")
        gone.clip = Stored(file, "clip.mp4", "digest-of-the-clip")
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
