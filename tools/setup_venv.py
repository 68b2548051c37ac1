"""Make the virtual environment that the Makefile's targets run in. Standard library only.

    python3 tools/setup_venv.py [--venv .venv] [--extras dev,demo]

It creates the environment where it is missing, installs the project in editable form with the
versions of constraints.txt, and puts OpenCV's headless build in place where the usual one cannot
be imported for want of libGL. Run again, it repairs. The text stays readable for old Pythons, so
that a machine with one gets a sentence and not a syntax error.
"""

import argparse
import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def newer_python():
    """Path of an interpreter on PATH that is new enough, or None."""
    for minor in range(14, NEEDED[1] - 1, -1):
        found = shutil.which("python3." + str(minor))
        if found:
            return found
    return None


def say(text):
    print("set-up: " + text, flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", default=".venv")
    parser.add_argument("--extras", default="dev,demo")
    options = parser.parse_args(argv)
    if sys.version_info < NEEDED:
        other = newer_python()
        have = ".".join(str(part) for part in sys.version_info[:3])
        if other is None:
            say(
                f"c3d_viz needs Python 3.11 or newer, and this is {have} ({sys.executable}). "
                "Install a newer one and run: make PYTHON=/path/to/python3.11"
            )
            return 1
        say(f"Python {have} is too old, going on with {other}")
        arguments = sys.argv[1:] if argv is None else list(argv)
        return subprocess.call([other, os.path.abspath(__file__), *arguments])

    os.chdir(ROOT)
    python = os.path.join(options.venv, "Scripts" if os.name == "nt" else "bin", "python")
    if not os.path.exists(python):
        say("making " + options.venv)
        if subprocess.call([sys.executable, "-m", "venv", options.venv]) != 0:
            say(
                "python -m venv failed. On Debian and Ubuntu: apt install python3-venv; then "
                f"remove {options.venv} and try again"
            )
            return 1
    say(f"installing c3d-viz[{options.extras}] with the versions of constraints.txt: a few minutes")
    command = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        command.append("--quiet")
    command += ["-c", "constraints.txt", "-e", f".[{options.extras}]"]
    if subprocess.call(command) != 0:
        say("pip failed; its message is above. The network may be missing: try again")
        return 1
    status = subprocess.call([python, "-m", "c3d_viz.setup_check"])
    if status == 0:
        # The mark the Makefile looks for comes last: a broken set-up is done again.
        with open(
            os.path.join(options.venv, ".ready-" + options.extras.replace(",", "-")), "w"
        ) as mark:
            mark.write("c3d_viz is set up here\n")
        say("done")
    return status


if __name__ == "__main__":
    sys.exit(main())
