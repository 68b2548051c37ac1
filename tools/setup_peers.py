"""Make .venv-bench: the tests' environment plus the tools that ``make bench`` compares with.

    .venv/bin/python tools/setup_peers.py [--venv .venv-bench]

The tools are installed without what they ask for, because that would bring another PyTorch of
several gigabytes. The environment sees the packages of the one this is run with, PyTorch among
them; what is installed on top is some 50 MB. A tool that fails to install is left out with a line:
the table then says so.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import venv

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = (  # each with what it imports beyond the environment of the tests
    ("zennit==0.5.1", "torchvision==0.28.0"),
    ("grad-cam==1.5.7", "ttach==0.0.3", "scikit-learn", "joblib", "cloudpickle", "threadpoolctl"),
    ("torchray==1.0.0.2", "importlib_resources"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", default=".venv-bench")
    options = parser.parse_args()
    os.chdir(ROOT)
    python = os.path.join(options.venv, "Scripts" if os.name == "nt" else "bin", "python")
    print("set-up: making", options.venv, flush=True)
    venv.create(options.venv, with_pip=False, clear=True)
    target = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    with open(os.path.join(target, "tests.pth"), "w") as file:
        # addsitedir, unlike a bare path, also reads the editable install of the project
        file.write(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet"]
    pip += ["--disable-pip-version-check", "-c", "constraints.txt"]
    for packages in TOOLS:
        print("set-up: installing", packages[0], flush=True)
        if subprocess.call([*pip, *packages]) != 0:
            print(f"set-up: {packages[0]} cannot be installed here and is left out", flush=True)
    with open(os.path.join(options.venv, ".ready"), "w") as mark:
        mark.write("the tools to compare with are set up here\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
