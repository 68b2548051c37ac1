"""load_state: any state_dict file into any network, strictly; the network survives a refusal."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from checkpoint_files import Weights, write_caffe
from safetensors.torch import save_file
from torch import Tensor, nn

from c3d_viz.errors import WeightsError
from c3d_viz.files import sha256
from c3d_viz.weights import load_state


class Foreign(nn.Module):
    """A network written elsewhere, one part of which is called ``model``."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Conv3d(1, 2, 3)
        self.norm = nn.BatchNorm3d(2)
        self.model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        self.register_buffer("steps", torch.tensor(seed))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.norm(self.stem(x)).mean((2, 3, 4)))


@pytest.fixture
def state() -> dict[str, Tensor]:
    return copy.deepcopy(Foreign(seed=1).state_dict())


def assert_loaded(net: nn.Module, state: dict[str, Tensor]) -> None:
    for (name, mine), given in zip(net.state_dict().items(), state.values(), strict=True):
        assert torch.equal(mine, given), name


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model.", "net.model."])
def test_prefixes_and_wrappers(tmp_path: Path, state: dict[str, Tensor], prefix: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({"epoch": 1, "net": {f"{prefix}{k}": v for k, v in state.items()}}, path)
    net = Foreign()
    loaded = load_state(net, path)
    assert_loaded(net, state)
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert (loaded.wrapped, loaded.ignored) == ("net", ("epoch",))
    assert loaded.names["model.0.bias"] == f"{prefix}model.0.bias"
    assert loaded.sha256 == sha256(path)


def test_wrappers_of_the_network_and_inside_the_names(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    save_file(state, tmp_path / "w.safetensors", metadata={"note": "mine"})
    wrapped = nn.DataParallel(Foreign())
    assert load_state(wrapped, tmp_path / "w.safetensors").metadata == {"note": "mine"}
    assert_loaded(wrapped, state)
    inside = {k.replace("model.", "model.module._orig_mod."): v for k, v in state.items()}
    torch.save(inside, tmp_path / "w.pth")
    net = Foreign()
    load_state(net, tmp_path / "w.pth")
    assert_loaded(net, state)


def test_types_of_the_network_stay_and_old_files_without_counters_load(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    del state["norm.num_batches_tracked"]
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in state.items()}, tmp_path / "w"
    )
    net = Foreign().double()
    load_state(net, tmp_path / "w")
    assert net.stem.weight.dtype == torch.float64
    assert torch.equal(net.stem.weight, state["stem.weight"].half().double())
    assert int(net.norm.num_batches_tracked) == 0


def test_the_network_keeps_no_hold_of_the_file(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "w.pth"
    torch.save(state, path)
    net = Foreign()
    load_state(net, path)
    path.write_bytes(bytes(path.stat().st_size))
    assert_loaded(net, state)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stem.weight": None, "norm.bias": None}, "missing: stem.weight, norm.bias"),
        ({"a": torch.ones(1), "b": torch.ones(1)}, "left over: a, b"),
        ({"stem.bias": torch.ones(3)}, "wrong shape: stem.bias is (3,), expected (2,)"),
        ({"stem.bias": torch.ones(2, dtype=torch.int64)}, "wrong type: stem.bias is torch.int64"),
        ({"steps": torch.ones(())}, "wrong type: steps is torch.float32, expected torch.int64"),
        ({"stem.bias": torch.tensor([0, torch.nan])}, "NaN or infinite numbers in: stem.bias"),
    ],
)
def test_refusals_leave_the_network_alone(
    tmp_path: Path, state: dict[str, Tensor], change: dict[str, Tensor | None], says: str
) -> None:
    changed = {k: v for k, v in {**state, **change}.items() if v is not None}
    torch.save(changed, tmp_path / "w.pth")
    net = Foreign()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(WeightsError) as caught:
        load_state(net, tmp_path / "w.pth")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'w.pth'}: {len(changed)} tensors do not fit Foreign, ")
    assert says in message
    assert "\n" not in message
    assert_loaded(net, before)


def test_many_names_are_counted(tmp_path: Path) -> None:
    torch.save({f"x{i}": torch.ones(1) for i in range(40)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="left over: x0, x1, x2, x3, x4, x5 and 34 more"):
        load_state(Foreign(), tmp_path / "w.pth")


def test_what_is_no_state_dict_or_no_ready_network(
    tmp_path: Path, weights: Weights, state: dict[str, Tensor]
) -> None:
    with pytest.raises(WeightsError, match="is a caffe file, whose tensors lie otherwise"):
        load_state(Foreign(), write_caffe(tmp_path / "m", weights))
    torch.save(state, tmp_path / "w.pth")
    for net in (nn.LazyLinear(3), Foreign().to("meta")):
        with pytest.raises(WeightsError, match="without memory"):
            load_state(net, tmp_path / "w.pth")
