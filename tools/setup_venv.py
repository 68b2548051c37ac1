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
        found = shutil.which("python3.%d" % minor)
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
                "c3d_viz needs Python 3.11 or newer, and this is %s (%s). Install a newer one "
                "and run: make PYTHON=/path/to/python3.11" % (have, sys.executable)
            )
            return 1
        say("Python %s is too old, going on with %s" % (have, other))
        arguments = sys.argv[1:] if argv is None else list(argv)
        return subprocess.call([other, os.path.abspath(__file__)] + arguments)

    os.chdir(ROOT)
    python = os.path.join(options.venv, "Scripts" if os.name == "nt" else "bin", "python")
    if not os.path.exists(python):
        say("making " + options.venv)
        if subprocess.call([sys.executable, "-m", "venv", options.venv]) != 0:
            say(
                "python -m venv failed. On Debian and Ubuntu: apt install python3-venv; then "
                "remove %s and try again" % options.venv
            )
            return 1
    say("installing c3d-viz[%s] with the versions of constraints.txt: a few minutes" % options.extras)
    command = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        command.append("--quiet")
    command += ["-c", "constraints.txt", "-e", ".[%s]" % options.extras]
    if subprocess.call(command) != 0:
        say("pip failed; its message is above. The network may be missing: try again")
        return 1
    status = subprocess.call([python, "-m", "c3d_viz.setup_check"])
    if status == 0:
        # The mark the Makefile looks for comes last: a broken set-up is done again.
        with open(os.path.join(options.venv, ".ready-" + options.extras.replace(",", "-")), "w") as mark:
            mark.write("c3d_viz is set up here\n")
        say("done")
    return status


if __name__ == "__main__":
    sys.exit(main())
