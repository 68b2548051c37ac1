"""What an installed c3d_viz brings along, what it needs, and what it leaves alone."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLACES = ("c3d_viz", "app")  # the two folders that are installed
IMPORTED_AS = {"opencv-python-headless": "opencv-python"}  # setup_check may put it in its place


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """(top-level name, at the top of the file) of every absolute import, nested ones included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            yield name.split(".")[0], node in tree.body


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_imported_is_declared(place: str) -> None:
    needed = {normal(text) for text in PROJECT["dependencies"]}
    extras = {normal(t) for texts in PROJECT["optional-dependencies"].values() for t in texts}
    known = packages_distributions()
    for path in sorted((ROOT / place).rglob("*.py")):
        for name, top in imported(path):
            if name in sys.stdlib_module_names or name in ("c3d_viz", "__future__"):
                continue
            owners = {normal(owner) for owner in known.get(name, [name])}
            owners |= {IMPORTED_AS[owner] for owner in owners & set(IMPORTED_AS)}
            assert owners & (needed if top else needed | extras), f"{path.name} imports {name}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the project's wheel is installed to, without what it depends on."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PLACES:  # a copy: a build leaves things behind
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(made), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = made.glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    command = [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody's own folder, with an ``app.py`` and an ``app/``."""
    (tmp_path / "app.py").write_text("raise SystemExit('the person\\'s own app.py ran')\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("mine = True\n")
    return tmp_path


def run(site: Path, folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_wheel_claims_one_name(site: Path, elsewhere: Path) -> None:
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"c3d_viz", "bin"}
    assert run(site, elsewhere, "import c3d_viz, app; print(app.mine, app.__file__)") == (
        f"True {elsewhere / 'app' / '__init__.py'}"
    )


@pytest.mark.slow
def test_the_installed_dashboard_draws_its_page(site: Path, elsewhere: Path) -> None:
    code = """
import json, sys
import app
from streamlit.testing.v1 import AppTest
import c3d_viz
from c3d_viz.cli.dashboard import command
main = next(word for word in command() if word.endswith("main.py"))
test = AppTest.from_file(main, default_timeout=120).run()
ours = sorted({m.__file__ for n, m in sys.modules.items() if n.startswith("c3d_viz._app.")})
print(json.dumps([main, [t.value for t in test.title], [e.value for e in test.error],
                  len(test.exception), ours, app.mine]))
"""
    main, titles, errors, exceptions, ours, mine = json.loads(run(site, elsewhere, code))
    assert main == str(site / "c3d_viz" / "_app" / "main.py")
    assert titles == ["What does a video network see?"]
    assert (errors, exceptions, mine) == ([], 0, True)
    assert len(ours) > 15
    assert all(Path(path).is_relative_to(site) for path in ours)


@pytest.mark.slow
def test_the_installed_command_serves(site: Path, elsewhere: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(site / "bin" / "c3d-viz"), "app", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(site), "TMPDIR": str(elsewhere)}
    log = elsewhere / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=elsewhere, env=env, stdout=out, stderr=out)
    try:
        for _ in range(300):
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as answer:
                    assert answer.status == 200
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(log.read_text())
    finally:
        process.terminate()
        process.wait(30)
