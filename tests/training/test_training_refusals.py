"""Files that a training command reads or adds to and cannot: one line that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from c3d_viz.training import main

GOOD = json.dumps({"seen": 24, "what_unseen": 0.5}) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "words", "says"),
    [
        ("log.jsonl", GOOD + '{"seen": 4', ["curve", "IT", "-o", "c.png"], "line 2 of .*log.jsonl"),
        ("log.jsonl", GOOD + "[]", ["curve", "IT", "-o", "c.png"], "is damaged; remove that line"),
        ("log.jsonl", '{"what_unseen": 0.5}', ["curve", "IT", "-o", "c.png"], "line 1 of"),
        ("log.jsonl", GOOD.replace("0.5", '"x"'), ["curve", "IT", "-o", "c.png"], "line 1 of"),
        ("log.jsonl", b"\xff\xfe", ["curve", "IT", "-o", "c.png"], "line 1 of"),
        ("log.jsonl", GOOD, ["curve", "IT", "-o", "/dev/null/c.png"], "/dev/null: .*name what may"),
        ("e.json", "{", ["evaluate", ".", "-o", "IT"], "e.json is damaged: .*; give another -o"),
        ("e.json", '{"test_sets": {"a": 1}}', ["evaluate", ".", "-o", "IT"], "e.json is no eval"),
        ("e.json", '{"sha256": []}', ["evaluate", ".", "-o", "IT"], "give another -o"),
    ],
)
def test_one_line(
    name: str,
    content: str | bytes,
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert main([name if word == "IT" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(says, error), error
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_whole_log_is_drawn(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"seen": 12, "loss": 1.0}) + "\n" + GOOD)
    assert main(["curve", str(log), "-o", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").stat().st_size > 1000
