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
# A package or module imports from the lines above its own, never from its own line or below. A new
# one needs a place here; docs/architecture.md shows the same plan.
RANKS: tuple[set[str], ...] = (
    {"errors", "setup_check"},
    {"arguments", "files", "progress", "stats"},
    {"nets"},
    {"clips", "render"},
    {"weights", "engine", "synthetic"},
    {"methods", "work"},
    {"trust", "gradcam"},
    {"units"},
    {"finding", "training", "export", "corpus", "validity"},
    {"cli"},
)
FILES = sorted(PACKAGE.rglob("*.py"))
# heavy or optional: inside functions
ONLY_INSIDE = {"captum", "h5py", "matplotlib", "pyarrow", "ray", "scipy"}
ONLY_IN_CLI = {"typer", "rich"}
NEVER = {"streamlit", "app"}
DRAWING = {"numpy", "cv2", "matplotlib", "av", "PIL"}  # all that render may use


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def rank(module: str) -> int:
    home = module.split(".")[0]
    return next((i for i, names in enumerate(RANKS) if home in names), -1)


def imports(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """(module, inside c3d_viz, at the top of the file) of every import, nested ones included.

    Only what stands under ``if TYPE_CHECKING`` in the root's own face is left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = ["c3d_viz", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = place[: len(place) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            inner = [f"{module}.{name.name}".removeprefix("c3d_viz.") for name in node.names]
            targets = [f"c3d_viz.{name}" if name in MODULES else module for name in inner]
        else:
            continue
        for target in dict.fromkeys(targets):
            inside = target.split(".")[0] == "c3d_viz"
            yield target.removeprefix("c3d_viz.") if inside else target, inside, node in tree.body


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_and_through_faces(module: str) -> None:
    if module == "__init__":
        return  # the root's face imports nothing until a name is asked for
    home = module.split(".")[0]
    assert rank(module) >= 0, f"{module} has no rank in RANKS"
    for target, inside, _ in imports(MODULES[module]):
        if not inside or target.split(".")[0] == home or target == "c3d_viz":
            continue
        assert 0 <= rank(target) < rank(module), f"{module} must not import {target}"
        assert "." not in target, f"{module} reaches past the face of {target.split('.')[0]}"


@pytest.mark.parametrize("module", MODULES)
def test_packages_stay_where_they_belong(module: str) -> None:
    home = module.split(".")[0]
    for target, inside, top in imports(MODULES[module]):
        package = target.split(".")[0]
        if inside:
            continue
        assert package not in NEVER, f"{module} imports {package}"
        assert package not in ONLY_IN_CLI or home == "cli", f"{module} imports {package}"
        assert package not in ONLY_INSIDE or not top, f"{module} imports {package} at the top"
        if home == "render":
            known = package in DRAWING or package in sys.stdlib_module_names
            assert known, f"{module} imports {package}"


def test_no_circles() -> None:
    graph = {m: {t for t, inside, _ in imports(p) if inside} for m, p in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for target in graph.get(module, ()):
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        if module != "__init__":
            visit(module, ())


def test_the_root_is_understood_in_a_minute() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10
    homes = {p.name for p in PACKAGE.iterdir() if p.is_dir()} - {"__pycache__"}
    assert homes <= set().union(*RANKS)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_command_line_starts_light() -> None:
    heavy = {"torch", "streamlit", "matplotlib", "cv2", "captum", "numpy", "rich", "av"}
    loaded = run("import sys, c3d_viz.cli; print(*{m.split('.')[0] for m in sys.modules})").split()
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
