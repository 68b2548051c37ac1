"""The project around the code: version, README, troubleshooting, licence, packaging."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import c3d_viz
from c3d_viz import errors
from c3d_viz.cli import commands as cli

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "c3d_viz"
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, re.M)[0]
    assert c3d_viz.__version__ == project["version"] == newest


def test_licence() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_readme_example_runs(tmp_path: Path, bikes: Path) -> None:
    """The first Python block of the README, as it stands, where the demo's clips are."""
    (code, *_) = blocks(ROOT / "README.md", "python")
    check = """
import numpy as np
assert att.values.shape == (3, 16, 112, 112) and att.values.dtype == np.float32
assert frames.shape == (16, 112, 112, 3) and frames.dtype == np.uint8
assert x.shape == (1, 3, 16, 112, 112)
"""
    done = subprocess.run(
        [sys.executable, "-c", code + check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "conv5b.mp4").stat().st_size > 1000


def test_commands_in_the_docs_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every ``c3d-viz COMMAND --option`` that a page shows is one that the program has."""
    shown: dict[str, set[str]] = {}
    for path in DOCS:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^(?:\$ )?c3d-viz (.+)$|`c3d-viz ([^`]+)`", text, re.M):
            words = "".join(line).split()
            name = " ".join(words[:2]) if words[0] in ("weights", "finding", "units") else words[0]
            if name == "--help" or name.startswith("train"):
                continue
            shown.setdefault(name, set()).update(re.findall(r"--[a-z0-9-]+", "".join(line)))
    assert {"export", "layers", "demo", "app"} <= set(shown)
    for name, options in shown.items():
        if name.startswith("-") or name == "COMMAND":
            continue
        with pytest.raises(SystemExit) as left:
            cli.main([*name.split(), "--help"])
        assert left.value.code == 0, name
        help_text = capsys.readouterr().out
        assert not [option for option in options if option not in help_text], name


def test_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    named = {t for path in DOCS for t in re.findall(r"\bmake ([a-z]+)\b`", path.read_text())}
    assert {"demo", "app", "test", "check", "bench"} <= targets
    assert named <= targets


def test_links_in_the_docs_lead_somewhere() -> None:
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def messages(path: Path) -> list[str]:
    """Words of every error a module raises on purpose: its text without what is filled in."""
    names = {name for name in vars(errors) if name.endswith("Error")}
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        if node.func.id in names:
            texts = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
            found.append(" ".join(str(t) for t in texts))
    return found


def test_errors_are_one_line() -> None:
    for path in PACKAGE.rglob("*.py"):
        for message in messages(path):
            assert "\n" not in message, f"{path.name}: {message}"


def test_troubleshooting_quotes_real_errors() -> None:
    """Each heading of the page is a piece of an error that the code can print."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### `(.+)`$", text, re.M)
    assert len(headings) >= 20
    every = re.findall(r"^##+ (.+)$", text, re.M)
    assert [heading for heading in set(every) if every.count(heading) > 1] == []
    source = "\n".join(
        re.sub(r'["\']\s*\n\s*[rf]*["\']', "", p.read_text(encoding="utf-8"))
        for p in [*PACKAGE.rglob("*.py"), *(ROOT / "app").rglob("*.py"), *ROOT.glob("tools/*.py")]
    )
    for heading in headings:
        for piece in heading.split("..."):
            assert piece.strip() in source, f"no error says {piece.strip()!r}"


def test_the_package_takes_its_files_along() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = {k: v for k, v in settings["package-data"].items()}
    wanted = [ROOT / "app" / ".streamlit" / "config.toml", *(ROOT / "app" / "assets").rglob("*.*")]
    wanted += [p for p in (ROOT / "app" / "components").iterdir() if p.suffix in (".js", ".css")]
    for path in wanted:
        inside = path.relative_to(ROOT / "app")
        assert any(inside.match(pattern) for pattern in patterns["c3d_viz._app"]), path
    for path in (PACKAGE / "weights").glob("*.safetensors"):
        assert path.stat().st_size <= 8_000_000
        assert any(path.relative_to(PACKAGE).match(p) for p in patterns["c3d_viz"])


def test_legends_have_a_place() -> None:
    """Matplotlib's search for the best one takes long, and warns of it on a busy machine."""
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("benchmarks/*.py"), *ROOT.glob("tools/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "legend":
                assert "loc" in [keyword.arg for keyword in node.keywords], (path, node.lineno)


def test_no_number_with_a_sign_prints_a_negative_zero() -> None:
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "app").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r":\+\.\d", text), f"{path.name}: write :+z.3f"
        assert not re.search(r"(activation|answer\.\w+|cosine|likeness):\.\d", text), path.name


def test_no_large_or_foreign_files() -> None:
    done = subprocess.run(
        ["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    for line in done.stdout.splitlines():
        path = ROOT / line.split("\t", 1)[1]
        if path.is_file():
            assert path.stat().st_size < 9_000_000, path


def test_test_files_have_names_of_their_own() -> None:
    """Two of one name cannot be collected together (the folders are no packages)."""
    found = (ROOT / "tests").rglob("*.py")
    names = [path.name for path in found if path.name != "conftest.py"]
    assert [name for name in set(names) if names.count(name) > 1] == []


@pytest.mark.parametrize("folder", ["c3d_viz", "app", "benchmarks", "examples", "tools", "tests"])
def test_files_are_read_in_one_sitting(folder: str) -> None:
    found = [p for kind in ("py", "js", "css") for p in (ROOT / folder).rglob(f"*.{kind}")]
    assert found
    long = {p.name: n for p in found if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}
