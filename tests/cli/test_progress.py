"""Progress: on a terminal and line by line, with the time left."""

from __future__ import annotations

import pytest

from c3d_viz.cli import progress as cli_progress


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (42.4, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert cli_progress.duration(seconds) == text


def test_lines_come_now_and_then_with_the_time_left() -> None:
    now = 0.0
    said: list[str] = []
    progress = cli_progress.lines("export", said.append, lambda: now)
    for done in range(1, 101):
        now = done * 0.25
        progress(done, 100, f"step {done}")
    assert said[0] == "export: 1 of 100, step 1"
    assert said[1] == "export: 21 of 100, step 21, 21 s left"
    assert said[-1] == "export: 100 of 100, step 100"
    assert len(said) == 6


def test_a_resumed_run_does_not_boast() -> None:
    """Steps of an earlier run take no time and must not count in the rate."""
    now = 0.0
    said: list[str] = []
    progress = cli_progress.lines("export", said.append, lambda: now)
    progress(80, 100, "skipped")
    now = 10.0
    progress(85, 100, "work")
    assert said[-1].endswith("30 s left")


def test_another_kind_of_work_has_a_rate_of_its_own() -> None:
    """Reading clips, of which nothing is kept, says nothing about work that was kept before."""
    now = 0.0
    said: list[str] = []
    progress = cli_progress.lines("check", said.append, lambda: now)
    progress(0, 10, "reading")
    now = 100.0
    progress(80, 100, "work kept from before")
    now = 110.0
    progress(85, 100, "work")
    assert said[1:] == ["check: 80 of 100, work kept from before",
                        "check: 85 of 100, work, 30 s left"]  # fmt: skip


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with cli_progress.progress_bar("export") as progress:
        progress(1, 4, "conv1a")
        progress(4, 4, "conv5b")
    with cli_progress.byte_progress("download") as progress:
        progress(3_000_000, 0, "file.pth")
