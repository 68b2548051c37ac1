"""Training: what is folded, inflated and packed computes what it came from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from c3d_viz.errors import ShapeError
from c3d_viz.nets.spec import COMPACT_INPUT
from c3d_viz.synthetic.scene import CLASSES
from c3d_viz.training.nets import TrainNet, folded, inflate, product_head, to_c3d
from c3d_viz.training.pack import pack
from c3d_viz.weights import load_model


def lived_in(net: TrainNet, seed: int = 0) -> TrainNet:
    """Batch normalisation with statistics and parameters unlike those of a fresh net."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=g) * 0.3)
            module.running_var.copy_(torch.rand(size, generator=g) + 0.3)
            module.weight.data.copy_(torch.rand(size, generator=g) + 0.5)
            module.bias.data.copy_(torch.randn(size, generator=g) * 0.2)
    return net.eval()


def clip(n: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 16, 112, 112, generator=torch.Generator().manual_seed(seed))


def worst_difference(net: TrainNet, model: nn.Module, x: Tensor) -> float:
    """Largest difference between the sums of the heads' logits and the folded net's logits."""
    heads = net.split(net(x))
    product = heads[0]
    for head in heads[1:]:
        product = (product[:, :, None] + head[:, None]).flatten(1)
    return float((product - model(x)).abs().max())


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("plain", [(), ("conv1a", "conv2a", "fc6")])
@torch.no_grad()
def test_folded_net_gives_the_same_logits(depth: int, plain: tuple[str, ...]) -> None:
    torch.manual_seed(1)
    net = lived_in(TrainNet((6, 10), width=4, fc=16, depth=depth, plain=plain))
    assert net(clip(2)).std() > 0.01
    assert worst_difference(net, to_c3d(net), clip(2)) < 1e-4


@torch.no_grad()
def test_padded_pool5_is_kept() -> None:
    net = lived_in(TrainNet((5,), width=2, fc=8, pool5="padded"))
    model = to_c3d(net)
    assert model.pool5_form == "padded"
    assert worst_difference(net, model, clip()) < 1e-4


def test_a_folded_layer_is_the_layer_and_its_norm() -> None:
    net = lived_in(TrainNet((3,), width=2, fc=8))
    x = torch.randn(4, 32 * 8)[:, : net.fc6.in_features]
    weight, bias = folded(net, "fc6")
    with torch.no_grad():
        wanted = net.bn6(net.fc6(x))
    assert torch.allclose(wanted, x @ weight.float().T + bias.float(), atol=1e-5)


def test_product_head_is_the_product_of_the_softmaxes() -> None:
    weight, bias, x = torch.randn(5, 7), torch.randn(5), torch.randn(4, 7)
    joint_w, joint_b = product_head(weight, bias, (2, 3))
    logits = x @ weight.T + bias
    a, b = logits[:, :2].softmax(1), logits[:, 2:].softmax(1)
    joint = (x @ joint_w.T + joint_b).softmax(1).reshape(4, 2, 3)
    assert torch.allclose(joint, a[:, :, None] * b[:, None], atol=1e-6)


@pytest.mark.parametrize("depth", [1, 3, 5])
@torch.no_grad()
def test_inflated_at_the_centre_a_still_clip_has_the_pictures_logits(depth: int) -> None:
    torch.manual_seed(2)
    flat = lived_in(TrainNet((6,), width=4, fc=16, depth=0))
    net = inflate(flat, depth, (6, 10), plain=("conv1a", "conv2a")).eval()
    picture = clip(2)[:, :, 0]
    still = picture[:, :, None].expand(-1, -1, 16, -1, -1)
    assert torch.allclose(net(still)[:, :6], flat(picture), atol=1e-5)


@torch.no_grad()
def test_inflated_by_the_mean_only_the_ends_differ() -> None:
    """Zero padding takes a third of the response away in the first and last frame."""
    torch.manual_seed(3)
    flat = lived_in(TrainNet((6,), width=4, fc=16, depth=0))
    net = inflate(flat, 3, (6, 10), spread="mean").eval()
    picture = clip(1)[:, :, 0]
    deep = net.conv1a(picture[:, :, None].expand(-1, -1, 16, -1, -1))
    wanted = flat.conv1a(picture)
    assert torch.allclose(
        deep[:, :, 1:-1], wanted[:, :, None].expand(-1, -1, 14, -1, -1), atol=1e-5
    )
    assert torch.allclose(deep[:, :, 0], wanted * 2 / 3, atol=1e-5)
    assert torch.allclose(deep[:, :, 15], wanted * 2 / 3, atol=1e-5)


@torch.no_grad()
def test_the_2d_twin_cannot_tell_time_from_its_reverse() -> None:
    twin = lived_in(TrainNet((6, 10), width=4, fc=16, depth=1))
    full = lived_in(TrainNet((6, 10), width=4, fc=16, depth=3))
    x = clip()
    assert torch.allclose(twin(x), twin(x.flip(2)), atol=1e-6)
    forward, backward = full.conv1a(x), full.conv1a(x.flip(2)).flip(2)
    assert float((forward - backward).abs().mean()) > 0.1 * float(forward.abs().mean())


@pytest.mark.parametrize("layer", ["conv1a", "conv3a", "conv5a"])
@torch.no_grad()
def test_a_pictures_answer_is_the_mean_over_time_of_the_still_clips(layer: str) -> None:
    """One layer of a net with time, without what follows the convolution: exact."""
    frames = {"conv1a": 16, "conv3a": 8, "conv5a": 2}[layer]
    net = TrainNet((6,), width=4, fc=16, plain=(layer,))
    conv = getattr(net, layer)
    picture = torch.randn(2, conv.in_channels, 14, 14)
    still = conv(picture[:, :, None].expand(-1, -1, frames, -1, -1)).mean(2)
    wanted = still if layer == "conv3a" else torch.nn.functional.max_pool2d(still, 2)
    if layer == "conv5a":  # no pool follows
        wanted = still
    assert torch.allclose(net._still(picture, layer.removeprefix("conv")), wanted.relu(), atol=1e-5)


@torch.no_grad()
def test_the_2d_twin_answers_a_picture_as_the_flat_net_does() -> None:
    torch.manual_seed(4)
    flat = lived_in(TrainNet((6,), width=4, fc=16, depth=0, dropout=0.0))
    twin = inflate(flat, 1, (6, 10), plain=("conv1a", "conv2a"), dropout=0.0).train()
    before = {k: v.clone() for k, v in twin.state_dict().items() if "running" in k}
    picture = clip(6)[:, :, 0]
    answer = twin(picture)[:, :6]
    # conv1a and conv2a: folded running statistics; the rest: the batch's own, as in training
    flat.train()
    for name in ("1a", "2a"):
        getattr(flat, f"bn{name}").eval()
    assert torch.allclose(answer, flat(picture), atol=1e-4)
    for key, value in before.items():  # the running statistics are those of clips
        assert torch.equal(twin.state_dict()[key], value), key


def test_a_flat_net_has_no_c3d() -> None:
    with pytest.raises(ShapeError, match="no time axis"):
        to_c3d(TrainNet((6,), width=2, fc=8, depth=0))
    with pytest.raises(ShapeError, match="odd"):
        TrainNet((6,), depth=2)


@torch.no_grad()
def test_bf16_is_close_to_float32() -> None:
    net = lived_in(TrainNet((6, 10), width=4, fc=16))
    exact, rough = net(clip()), net(clip(), bf16=True)
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.1


def test_a_packed_net_loads_as_what_it_is(tmp_path: Path) -> None:
    net = lived_in(TrainNet((6, 10), width=16, fc=512))
    path = pack(net, 12345, tmp_path / "net.safetensors")
    assert path.stat().st_size < 8_000_000
    model, spec = load_model("compact", weights=path)
    assert spec.classes == CLASSES
    assert spec.input == COMPACT_INPUT
    assert spec.weights.startswith("compact: trained on 12,345 synthetic clips")
    assert model.temporal_depths == (3, 3, 3, 3, 3)
    with torch.no_grad():
        exact, half = to_c3d(net)(clip()), model(clip())
    assert float((exact - half).norm() / exact.norm()) < 5e-3  # float16
