"""Other tools on the same units, each as its own documentation intends, and a plain loop.

An adapter is ``(model, x, units) -> list of maps (3, T, H, W)``, one per unit, in order.

Three of the tools import torchvision, of which they need nothing for this work, and whose
published wheels do not start beside a CPU build of PyTorch: two of its operators are missing.
``torchvision_starts`` declares these two names (they are never called), and the tools import.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import c3d_viz as viz
from c3d_viz.nets import layer_module

Units = Sequence[viz.Unit]
Adapter = Callable[[nn.Module, Tensor, Units], list[Tensor]]


@dataclass(frozen=True)
class Peer:
    """A tool that can be measured.

    Attributes:
        name: package and version.
        run: its adapter.
        shares: whether it does anything once for several units. If not, nine units cost nine
            times one, and a round of a comparison may do some of them.
    """

    name: str
    run: Adapter
    shares: bool = False


def available() -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers for the deconvolution that can run here, and why the others cannot."""
    peers, missing = {}, {}
    for key, package, load, shares in _PEERS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                adapter = load()
            name = f"{package} {importlib.metadata.version(package)}"
        except Exception as error:  # whatever an optional package does at import
            missing[key] = f"{package}: {type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            peers[key] = Peer(name, adapter, shares)
    return peers, missing


def torchvision_starts() -> None:
    """Import torchvision; declare the two operators its import asks for, if they are missing."""
    with contextlib.suppress(ImportError):
        try:
            import torchvision
        except RuntimeError:
            _LIBRARY.append(torch.library.Library("torchvision", "DEF"))
            for name in ("nms", "qnms"):
                _LIBRARY[-1].define(f"{name}(Tensor dets, Tensor scores, float iou) -> Tensor")
            import torchvision  # noqa: F401


_LIBRARY: list[Any] = []  # a library's operators live as long as it does


def loop(model: nn.Module, x: Tensor, units: Units) -> list[Tensor]:
    """Plain PyTorch, written well: one forward pass, its graph kept, one backward pass per unit."""
    rectify = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    kept: dict[str, Tensor] = {}
    handles = [m.register_full_backward_hook(_clamp) for m in rectify]
    for layer in {unit.layer for unit in units}:
        module = layer_module(model, layer)
        handles.append(module.register_forward_hook(_keep(kept, layer)))
    try:
        leaf = x.detach().clone().requires_grad_()
        model(leaf)
        return [
            torch.autograd.grad(kept[u.layer][(0, u.channel, *u.at)], leaf, retain_graph=True)[0][0]
            for u in units
        ]
    finally:
        for handle in handles:
            handle.remove()


def _clamp(_module: nn.Module, _below: object, above: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (above[0].clamp(min=0),)


def _keep(kept: dict[str, Tensor], layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        kept[layer] = output

    return hook


def _captum() -> Adapter:
    from captum.attr import NeuronDeconvolution

    def run(model: nn.Module, x: Tensor, units: Units) -> list[Tensor]:
        leaf = x.detach().clone().requires_grad_()
        maps = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it sets hooks
            for unit in units:
                method = NeuronDeconvolution(model, layer_module(model, unit.layer))
                found = method.attribute(leaf, (unit.channel, *unit.at))
                maps.append(found.detach()[0])
        return maps

    return run


def head(model: nn.Module, layer: str) -> nn.Sequential:
    """The part of a chain up to a layer's output: what tools need that explain a model's output."""
    last = layer_module(model, layer)
    modules = []
    for module in model.children():
        modules.append(module)
        if module is last:
            break
    return nn.Sequential(*modules)


def _one_hot(shape: Sequence[int], unit: viz.Unit, x: Tensor) -> Tensor:
    seed = torch.zeros(tuple(shape), dtype=x.dtype, device=x.device)
    seed[(0, unit.channel, *unit.at)] = 1
    return seed


def _zennit() -> Adapter:
    torchvision_starts()
    from zennit.attribution import Gradient
    from zennit.composites import DeconvNet

    def run(model: nn.Module, x: Tensor, units: Units) -> list[Tensor]:
        maps = []
        for layer in dict.fromkeys(unit.layer for unit in units):
            with Gradient(model=head(model, layer), composite=DeconvNet()) as attributor:
                for unit in units:
                    if unit.layer == layer:
                        seed = lambda out, u=unit: _one_hot(out.shape, u, out)  # noqa: E731
                        _, found = attributor(x.detach().clone(), seed)
                        maps.append(found.detach()[0])
        return maps

    return run


def _torchray() -> Adapter:
    torchvision_starts()
    from torchray.attribution.deconvnet import deconvnet

    def run(model: nn.Module, x: Tensor, units: Units) -> list[Tensor]:
        maps = []
        for unit in units:
            leaf = x.detach().clone().requires_grad_()
            deconvnet(
                head(model, unit.layer),
                leaf,
                unit,
                get_backward_gradient=lambda out, u: _one_hot(out.shape, u, out),
                # its maps are per pixel; the values before that are what is compared
                gradient_to_saliency=lambda probe: probe,
            )
            maps.append(leaf.grad.detach()[0])
        return maps

    return run


def grad_cam_guided(model: nn.Module, x: Tensor, unit: viz.Unit) -> str:
    """What pytorch-grad-cam's guided backpropagation answers to a clip: its error, or "runs".

    It works on a copy, because the tool leaves its own modules in a model that it fails on.
    """
    try:
        torchvision_starts()
        from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel
    except Exception as error:
        return f"cannot be imported: {type(error).__name__}: {str(error).splitlines()[0]}"
    net = copy.deepcopy(head(model, unit.layer))
    before = [type(module).__name__ for module in net]
    whole = nn.Sequential(net, nn.AdaptiveMaxPool3d(1), nn.Flatten())
    try:
        GuidedBackpropReLUModel(whole)(x.detach().clone(), unit.channel)
    except Exception as error:
        answer = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if [type(module).__name__ for module in net] != before:
            answer += "; the model keeps the tool's own ReLUs afterwards"
        return answer
    return "runs"


_PEERS: tuple[tuple[str, str, Callable[[], Adapter], bool], ...] = (
    ("captum", "captum", _captum, False),
    ("zennit", "zennit", _zennit, False),
    ("TorchRay", "torchray", _torchray, False),
    ("plain PyTorch loop", "torch", lambda: loop, True),
)
