"""A network of one's own by the name of the function that returns it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch

import c3d_viz as viz
from c3d_viz.errors import WeightsError
from c3d_viz.nets import KINETICS_INPUT, InputSpec
from c3d_viz.weights import NetworkChoice, load_model

NET = """
import torch
from torch import nn
from c3d_viz import InputSpec

class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Conv3d(channels, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.top = nn.Linear(4, 7)

    def forward(self, x):
        return self.top(self.norm(self.stem(x)).relu().mean((2, 3, 4)))

def build():
    return Net()

def grey():
    spec = InputSpec("RGB", mean=(100,), std=(2,), resize=(24, 32), crop=(20, 22), frames=5)
    return Net(1), spec

def half():
    return Net().half().train()

model = Net()
number = 3
def broken(): raise RuntimeError("no GPU\\nhere")
def leaving(): raise SystemExit(3)
def asking(width): return Net()
def nothing(): return None
def pair(): return Net(), "RGB"
def deaf(): return nn.Conv3d(5, 1, 1)
def lazy(): return nn.LazyConv3d(2, 3)
def scripted(): return torch.jit.script(nn.Conv3d(3, 2, 1))
def maps(): return nn.Conv3d(3, 2, 1)
def deep(levels=2000):
    net = nn.Conv3d(3, 2, 1)
    for _ in range(levels):
        net = nn.Sequential(net)
    return net
def nested(): return deep(99)
def round(): net = nn.Sequential(); net.add_module("0", net); return net
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "my net.py"
    path.write_text(NET)
    return path


def test_a_file_and_a_function(net: Path) -> None:
    torch.manual_seed(1)
    state, path = torch.get_rng_state(), list(sys.path)
    model, spec = viz.load_model(f"{net}:build", seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert sys.path == path
    assert type(model).__name__ == "Net"
    assert not any(m.training for m in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    assert (spec.name, spec.trained, spec.num_classes) == ("my net.py:build", None, 7)
    assert spec.weights.startswith("my net.py:build, weights as the factory gives them; input ass")
    assert spec.input == KINETICS_INPUT
    assert spec.code_sha256 == hashlib.sha256(net.read_bytes()).hexdigest()
    assert (spec.source, spec.sha256) == (None, None)
    twin, _ = load_model(f"{net}:build", "random", seed=3)
    other, _ = load_model(f"{net}:build", seed=4)
    assert torch.equal(model.stem.weight, twin.stem.weight)
    assert not torch.equal(model.stem.weight, other.stem.weight)


def test_a_factory_states_its_input(net: Path) -> None:
    _, spec = load_model(f"{net}:grey", classes=list("abcdefg"))
    assert spec.input.shape == (1, 5, 20, 22)
    assert spec.weights == "my net.py:grey, weights as the factory gives them"
    assert spec.classes == tuple("abcdefg")
    _, spec = load_model(f"{net}:grey", mean=(90,), scale=0.5, std=(3,), crop=(18, 20), resize=25)
    assert spec.input == InputSpec("RGB", (90.0,), 0.5, 25, (18, 20), 5, std=(3.0,))
    half, _ = load_model(f"{net}:half")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert not half.training
    _, spec = load_model(f"{net}:maps")
    assert spec.num_classes == 0


def test_an_input_beside_the_weights(net: Path, tmp_path: Path) -> None:
    toml = tmp_path / "input.toml"
    toml.write_text('channel_order = "BGR"\nframes = 8\nmean = [1, 2, 3]\nstd = [4, 5, 6.5]\n')
    _, spec = load_model(f"{net}:build", input=toml, resize=120)
    assert (spec.input.channel_order, spec.input.frames, spec.input.resize) == ("BGR", 8, 120)
    assert (spec.input.mean, spec.input.std) == ((1, 2, 3), (4, 5, 6.5))
    assert "assumed" not in spec.weights
    with pytest.raises(WeightsError, match=r"input.toml: states an input of \(3, 8, 112, 112\)"):
        load_model("compact", input=toml)
    for text, said in (
        ("frames = ", "is no TOML"),
        ("size = 3", r"no field 'size' .* there are channel_order, mean, std"),
        ("frames = 0", "frames must be a number from 1"),
        ("std = [1]", "std must be 3 positive numbers"),
    ):
        toml.write_text(text)
        with pytest.raises(WeightsError, match=f"input.toml: {said}"):
            load_model(f"{net}:build", input=toml)
    toml.write_text("mean = [1, 2, 3]\nscale = 0.5\n")
    assert load_model("compact", input=toml)[1].input.scale == 0.5


def test_weights_of_a_factory_are_a_state_dict_that_fits(net: Path, tmp_path: Path) -> None:
    model, _ = load_model(f"{net}:build", seed=9)
    file = tmp_path / "best.pth"
    torch.save({"model": {f"module.{k}": v for k, v in model.state_dict().items()}}, file)
    loaded, spec = load_model(f"{net}:build", file)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True)
    )
    assert spec.weights.startswith("best.pth, in my net.py:build; input assumed")
    assert (spec.trained, spec.source) == (True, str(file))
    assert spec.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert spec.num_classes == 7
    torch.save({k: v for k, v in model.state_dict().items() if k != "top.bias"}, file)
    with pytest.raises(WeightsError, match=r"do not fit Net, .*missing: top\.bias"):
        load_model(f"{net}:build", file)
    with pytest.raises(WeightsError, match="no such weights file"):
        load_model(f"{net}:build", tmp_path / "none.pth")


def test_a_module_of_a_package_beside_which_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ownpackage_of_the_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from .parts import Net as build\n")
    (package / "parts.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    _, spec = load_model(f"{package.name}.nets:build")
    assert spec.name == f"{package.name}.nets:build"
    assert spec.code_sha256 == hashlib.sha256((package / "nets.py").read_bytes()).hexdigest()
    beside = tmp_path / "deep" / "entry.py"
    beside.parent.mkdir()
    (beside.parent / "neighbour_of_the_test.py").write_text(NET)
    beside.write_text("from neighbour_of_the_test import build\n")
    assert load_model(f"{beside}:build")[1].name == "entry.py:build"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("model", "gives Net, not a function 'model'"),
        ("number", "gives int, not a function 'number'"),
        (
            "buildd",
            "has no function 'buildd'.* it has Net, build, grey, half",
        ),
        ("", "has no function ''"),
        ("broken", "calling it without arguments failed: RuntimeError: no GPU here"),
        ("leaving", "calling it without arguments failed: SystemExit: 3"),
        ("asking", "calling it without arguments failed: TypeError"),
        ("nothing", "must return a torch.nn.Module, .* it returned NoneType"),
        ("pair", r"must return .* it returned \(Net, str\)"),
        ("deaf", r"not take a clip of its input \(1, 3, 16, 112, 112\).*InputSpec.*viz.wrap"),
        ("deep", "lie more than 100 deep in each other"),
        ("round", "or hold themselves"),
        ("scripted", "returns a scripted or traced program.*; return the Python module"),
        ("lazy", "parameters without memory"),
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated")
def test_what_a_factory_may_do_wrong_is_one_line(net: Path, function: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said) as refused:
        load_model(f"{net}:{function}")
    assert "\n" not in str(refused.value)
    assert "my net.py" in str(refused.value)


def test_files_and_modules_that_are_not_there(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import nonsense_of_the_test\n")
    for name, said in (
        (f"{tmp_path}/none.py:build", "none.py: no such Python file"),
        ("no_such_package_of_the_test:build", "no module 'no_such_package_of_the_test'"),
        (":build", "no module ''"),
        (f"{bad}:build", "bad.py: running it failed: ModuleNotFoundError"),
        ("nonsense", "no model 'nonsense'; choose from compact, .* FILE.py:FUNCTION"),
    ):
        with pytest.raises(WeightsError, match=said):
            load_model(name)
    assert "c3d_viz_model_bad" not in sys.modules


def test_what_is_about_c3d_is_refused_for_others(net: Path) -> None:
    with pytest.raises(WeightsError, match="num_classes, pool5 are about C3D"):
        load_model(f"{net}:build", pool5="ceil", num_classes=3)
    net.write_text("raise SystemExit('the file was run')")
    with pytest.raises(WeightsError, match="this takes a C3D, compact, compact-2d, c3d"):
        NetworkChoice(f"{net}:build").load_c3d()


def test_no_file_that_is_given_as_weights_is_run(net: Path) -> None:
    """The dashboard's upload is such a file, whatever its name."""
    ran = net.with_name("ran")
    net.write_text(f"open({str(ran)!r}, 'w')")
    for path in (net, Path(f"{net}:build")):
        with pytest.raises(WeightsError):
            NetworkChoice("c3d", path).load()
    assert not ran.exists()


def test_layout_frames_and_stride(net: Path) -> None:
    net.write_text(
        NET
        + """
class Frames(Net):
    def forward(self, x):
        assert x.shape[1:3] == (6, 3)
        return super().forward(x.transpose(1, 2))

def frames(): return Frames()
"""
    )
    stated = {"layout": "TCHW", "frames": 6, "stride": 2, "crop": (20, 22), "resize": 24}
    model, spec = load_model(f"{net}:frames", **stated)  # type: ignore[arg-type]
    assert (spec.input.shape, spec.input.layout, spec.input.stride) == ((3, 6, 20, 22), "TCHW", 2)
    x = torch.rand(1, *spec.input.shape)
    assert viz.trace(model, x, "stem").activations["stem"].shape == (4, 6, 20, 22)
    net.with_name("input.toml").write_text(
        'layout = "TCHW"\nframes = 6\nstride = 2\ncrop = [20, 22]\nresize = 24\n'
    )
    choice = NetworkChoice(f"{net}:frames", input=net.with_name("input.toml"), frame_stride=3)
    assert choice.load()[1].input == spec.input.replace(stride=3)
    assert choice.options()[-2:] == ["--frame-stride", "3"]
    with pytest.raises(WeightsError, match="does not take a clip of its input"):
        load_model(f"{net}:frames", frames=6)
    with pytest.raises(WeightsError, match="layout must be CTHW or TCHW, got 'THWC'"):
        NetworkChoice(f"{net}:frames", layout="THWC").load()  # type: ignore[arg-type]


def test_c3d_takes_its_frames_at_any_stride() -> None:
    assert load_model("compact", stride=4)[1].input.stride == 4
    for given, said in (
        ({"frames": 8}, "C3D takes 16 frames as CTHW, got 8 as CTHW"),
        ({"layout": "TCHW"}, "got 16 as TCHW"),
        ({"stride": 0}, "stride must be"),
    ):
        with pytest.raises(WeightsError, match=said):
            load_model("compact", **given)  # type: ignore[arg-type]


def test_a_network_as_deep_as_is_allowed_is_looked_into(net: Path) -> None:
    model, spec = load_model(f"{net}:nested")
    clip = torch.rand(1, *spec.input.shape)[..., :2, :2, :2]
    layer = ".".join("0" * 99)
    assert viz.trace(model, clip, [layer]).activations[layer].shape == (2, 2, 2, 2)
    att = viz.attribute(model, clip, viz.Unit(layer, 1), "gradient")
    assert att.values.any()
