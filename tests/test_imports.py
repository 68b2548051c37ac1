"""The rule of docs/architecture.md: imports go one way, and heavy or optional packages stay put."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import c3d_viz

PACKAGE = Path(c3d_viz.__file__).parent
# A module may import from its own rank and below. A new module needs a line here.
RANKS = [
    {"errors", "spec", "setup_check"},
    {"models", "video", "frame_folder", "clips", "render", "media", "kernels", "rankstats"},
    {"hooks", "weights", "tracing", "synthetic", "boxes", "signals", "exact"},
    {"backprop", "forward", "chain", "field", "captum_methods", "gradcam"},
    {"methods"},
    {"finding", "validity", "corpus", "training"},
    {"export"},
    {"demo", "dashboard"},
    {"cli"},
]
FILES = sorted(PACKAGE.rglob("*.py"))
DRAWING = {"numpy", "cv2", "matplotlib", "av", "PIL"}  # all that render and media may use


def family(module: str) -> str:
    """``render_maps`` and ``render`` are one family, and so is everything in ``weights/``."""
    top = module.split(".")[0]
    known = set().union(*RANKS)
    return next((top[: len(k)] for k in known if top == k or top.startswith(k + "_")), top)


def rank(module: str) -> int:
    return next((i for i, names in enumerate(RANKS) if family(module) in names), -1)


def imports(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """(module, inside c3d_viz, at the top of the file) of every import; type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    place = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        top = node in tree.body
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, name.name.startswith("c3d_viz"), top
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module or "", (node.module or "").startswith("c3d_viz"), top
                continue
            base = [*place[: len(place) - node.level + 1], *filter(None, [node.module])]
            names = [[]] if node.module else [[name.name] for name in node.names]
            for name in names:
                yield ".".join([*base, *name]), True, top


def relative(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_down(path: Path) -> None:
    module = relative(path)
    if module == "__init__":
        return  # imports nothing until a name is asked for
    assert rank(module) >= 0, f"{module} has no rank in RANKS"
    for target, inside, _ in imports(path):
        if inside and target not in ("__version__", "c3d_viz"):
            assert 0 <= rank(target) <= rank(module), f"{module} must not import {target}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_packages_stay_where_they_belong(path: Path) -> None:
    module = family(relative(path))
    for target, inside, top in imports(path):
        package = target.split(".")[0]
        assert package not in ("streamlit", "app"), f"{module} imports {package}"
        if package in ("typer", "rich"):
            assert module == "cli", f"{module} imports {package}"
        if package in ("captum", "h5py", "matplotlib", "scipy") and not inside:
            assert not top, f"{module} imports {package} at the top of the file"
        if module in ("render", "media") and not inside and package not in DRAWING:
            assert package in sys.stdlib_module_names, f"{module} imports {package}"


def test_no_cycles() -> None:
    graph = {relative(p): {t for t, inside, top in imports(p) if inside and top} for p in FILES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for target in graph.get(module, ()):
            if target != module:
                visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_command_line_starts_light() -> None:
    heavy = {"torch", "streamlit", "matplotlib", "cv2", "captum", "numpy", "rich", "av"}
    loaded = run(
        "import sys, c3d_viz.cli.commands; print(*{m.split('.')[0] for m in sys.modules})"
    ).split()
    assert heavy & set(loaded) == set()


def test_the_library_never_loads_streamlit() -> None:
    code = "import sys, c3d_viz\nfor n in c3d_viz.__all__: getattr(c3d_viz, n)\n"
    assert run(code + "print('streamlit' in sys.modules, 'captum' in sys.modules)") == "False False"


def test_public_names() -> None:
    """What the README, the examples and other people's code rely on."""
    names = """
        C3D LAYERS METHODS Attribution Clip InputSpec ModelSpec Trace Unit VizError __version__
        attribute attribute_many contact_sheet cropped_frames export_clip filmstrip load_model
        overlay preprocess raw_frames read_clip receptive_field top_units trace write_image
        write_video
    """
    assert set(names.split()) <= set(c3d_viz.__all__)
    for name in c3d_viz.__all__:
        assert getattr(c3d_viz, name) is not None
    assert set(c3d_viz.__all__) <= set(dir(c3d_viz))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        c3d_viz.nonsense  # noqa: B018
