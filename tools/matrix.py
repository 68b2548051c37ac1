"""Run the quick tests on every Python and with the lowest and the newest libraries we allow.

    python3 tools/matrix.py [--pythons 3.11,3.12,3.13] [--versions lowest,newest] [--keep]
                            [--pin torch==2.13.0 ...]

A cell of the matrix is a virtual environment under build/matrix: "lowest" has the lower bounds of
pyproject.toml, "newest" what pip finds today within them. Pythons that are not on the PATH are
named and left out. Some 6 GB and ten minutes a cell where pip fetches PyTorch with its GPU
libraries; --pin holds a release in the newest cells, as that of a CPU build.
Standard library only, so that any Python starts it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUICK = ["-q", "-p", "no:cacheprovider", "-m", "not slow and not browser"]


def lower_bounds():
    """Lines for pip's constraints: the lowest release of every library that we name."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"]]
    for name in ("dev", "demo"):
        wanted += project["optional-dependencies"][name]
    lines = []
    for line in wanted:
        found = re.match(r"([A-Za-z0-9_.-]+)(?:\[.*\])?>=([0-9.]+)", line)
        if found:
            lines.append("==".join(found.groups()))  # 2.1 is 2.1.0
    return sorted(set(lines))


def cell(python, versions, keep, pins):
    """Make one environment, run the tests in it, and say how it went."""
    place = os.path.join(ROOT, "build", "matrix", f"{python}-{versions}")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    binary = os.path.join(place, "bin", "python")
    log = os.path.join(ROOT, "build", "matrix", f"{python}-{versions}.log")
    constraints = os.path.join(place, "constraints.txt")
    began = time.monotonic()
    with open(log, "w") as file:

        def run(*command):
            done = subprocess.call(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
            return done == 0

        pip = [binary, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        made = run("python" + python, "-m", "venv", place)
        with open(constraints, "w") as lines:
            lines.write("\n".join(lower_bounds() if versions == "lowest" else pins))
        installed = made and run(*pip, "-c", constraints, "-e", ".[dev,demo]")
        ready = installed and run(binary, "-m", "c3d_viz.setup_check")
        # old libraries beside new ones warn of each other, which is nobody's fault here
        loud = ["-W", "default"] if versions == "lowest" else []
        passed = ready and run(binary, "-m", "pytest", *QUICK, *loud)
    what = "passed" if passed else "tests FAILED" if ready else "install FAILED"
    with open(log) as file:
        last = (file.read().strip().splitlines() or [""])[-1]
    minutes = (time.monotonic() - began) / 60
    print(f"{python} {versions:<7} {what:<14} {minutes:5.1f} min  {last}", flush=True)
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", default="3.11,3.12,3.13")
    parser.add_argument("--versions", default="lowest,newest")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    parser.add_argument("--pin", action="append", default=[], metavar="NAME==VERSION")
    options = parser.parse_args()
    good = True
    for python in options.pythons.split(","):
        works = shutil.which("python" + python) and not subprocess.call(
            ["python" + python, "-c", ""], stderr=subprocess.DEVNULL
        )
        if not works:
            print(f"{python} is not installed: left out", flush=True)
            continue
        for versions in options.versions.split(","):
            good = cell(python, versions, options.keep, options.pin) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
