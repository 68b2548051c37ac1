"""What the pages ask of the library, each answer computed once and kept in the shared cache.

These functions know nothing of Streamlit and run in any thread.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

import c3d_viz as viz
from c3d_viz import validity
from c3d_viz.engine import activation, peak, recording, sliced
from c3d_viz.methods import Reading
from c3d_viz.nets import ModelSpec
from c3d_viz.weights import RANDOM, VIDEO_NETS, NetworkChoice

from . import memory
from .tasks import Cache, Key, report, tell

if TYPE_CHECKING:
    from .windows import Prepared

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
T = TypeVar("T")

CACHE = Cache(384 * 1024**2)
NETS = Cache(800 * 1024**2, size=lambda net: cast("Net", net).nbytes)
PATIENCE = 8.0


class Turns:
    """Whose turn it is to compute. One at a time: a computation uses every core, so two at once
    would only slow each other down. But nobody waits for ever: whoever has waited for PATIENCE
    seconds (behind integrated gradients of a large network, say) computes beside the other.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._patience = patience

    def __enter__(self) -> None:
        self._mine.held = self._lock.acquire(timeout=self._patience)

    def __exit__(self, *_: object) -> None:
        if self._mine.held:
            self._lock.release()


CORES = Turns()
UNTRAINED = "untrained"
NETWORKS = {  # what is always there: its name for people, and how it is had
    "compact": ("C3D, compact", NetworkChoice("compact")),
    "compact-2d": ("2D twin, compact", NetworkChoice("compact-2d")),
    UNTRAINED: ("C3D, compact, untrained", NetworkChoice("compact", RANDOM, seed=1)),
    "c3d": ("C3D, full size, random weights", NetworkChoice("c3d", RANDOM)),
}
if importlib.util.find_spec("torchvision") is not None:
    NETWORKS |= {
        name: (f"{name}, random weights", NetworkChoice(name, RANDOM)) for name in VIDEO_NETS
    }
SHIPPED = {key: label for key, (label, _) in NETWORKS.items()}


@dataclass(frozen=True)
class Net:
    """A network. ``key`` is the hash of its weights, or what stands for it where there is none.

    ``choice`` is what the command line says to have it, an upload under its person's name.
    """

    key: str
    model: Any
    spec: ModelSpec
    label: str
    choice: NetworkChoice

    @property
    def nbytes(self) -> int:
        """Bytes of its weights."""
        return sum(p.nbytes for p in self.model.parameters())


@dataclass(frozen=True)
class Spot:
    """A unit and its answer."""

    layer: str
    channel: int
    at: tuple[int, ...]
    activation: float


def kept(key: Key, make: Callable[[], T]) -> T:
    return cast(T, CACHE.get(key, make))


def network(name: str) -> Net:
    """A network that is always there, by its key in NETWORKS."""
    label, choice = NETWORKS[name]
    return chosen(choice, label)


def chosen(
    choice: NetworkChoice, label: str, *, digest: str = "", called: NetworkChoice | None = None
) -> Net:
    """The network that ``choice`` loads.

    Args:
        label: its name on the pages.
        digest: of an upload, under which it is dropped.
        called: of an upload, the choice with the name that the file came with.
    """

    def make() -> Net:
        with CORES:
            model, spec = choice.load()
        if called is not None:  # what is written down names the person's file, not ours
            stored = Path(str(choice.weights)).name
            spec = replace(spec, source=label, weights=spec.weights.replace(stored, label))
        # the same file prepared in another way gives other pictures
        key = f"{spec.sha256 or spec.weights} {replace(choice, weights=None)}"
        return Net(key, model, spec, label, called or choice)

    return cast(Net, NETS.get(("net", digest, choice), make))


def reinitialised(net: Net, seed: int) -> Net:
    """The same network with seeded random weights: what a picture owes to the weights is gone."""
    key = f"random {seed} for {net.key}"

    def make() -> Net:
        text = f"random weights (seed {seed}), untrained"
        spec = replace(net.spec, weights=text, trained=False, classes=None, sha256=None)
        choice = replace(net.choice, weights=RANDOM, seed=seed)
        return Net(key, validity.reinitialised(net.model, seed), spec, SHIPPED[UNTRAINED], choice)

    return cast(Net, NETS.get(("net", key), make))


def reading(net: Net, win: Prepared, layer: str) -> Reading:
    """What a layer answers to the window.

    Of a C3D one forward pass reads every layer, for all that is asked later. Other networks have
    hundreds of modules, too much to keep: theirs are read layer by layer.
    """
    layers = None if net.choice.is_c3d else (layer,)

    def make() -> Reading:
        with CORES, telling(net), soon(net):
            return Reading(net.model, win.x, layers)

    return kept(("reading", net.key, win.key, layers), make)


def soon(net: Net) -> contextlib.AbstractContextManager[Any]:
    """Within the block, C3D's forward pass takes half as long, with the same bits.

    Other networks' convolutions PyTorch itself does in another way.
    """
    return sliced() if net.choice.is_c3d else contextlib.nullcontext()


@contextlib.contextmanager
def telling(net: Net) -> Iterator[None]:
    """Within the block, a forward pass tells at which module of the network it is."""
    names = [name for name, module in net.model.named_modules() if not any(module.children())]
    done = 0

    def tell_of(name: str, _module: Any, x: Any, _output: Any) -> Any:
        nonlocal done
        done = min(done + 1, len(names) - 1)  # a module may be called several times
        tell(done, len(names), name)
        return x.new_empty(0)

    with recording(net.model, names, tell_of, skipped={}):
        yield


def grid(net: Net, win: Prepared, layer: str) -> tuple[int, ...]:
    """What a layer answers with: (channels, T, H, W), or (channels,)."""
    return tuple(reading(net, win, layer).trace.activations[layer].shape)


def strongest(net: Net, win: Prepared, layer: str, k: int) -> list[Spot]:
    """The k feature maps with the highest maximum, strongest first; the best where none is > 0."""
    answers = reading(net, win, layer).trace
    k = min(k, len(answers.activations[layer]))
    spots = [_spot(answers, unit) for unit in viz.top_units(answers, layer, k)]
    return [one for one in spots if one.activation > 0] or spots[:1]


def rank(net: Net, win: Prepared, unit: Spot) -> float:
    """Share of the layer's cells in this window that answer less than the unit does, 0-1."""
    values = np.asarray(reading(net, win, unit.layer).trace.activations[unit.layer])
    return float((values < unit.activation).mean())


def spot(
    net: Net, win: Prepared, layer: str, channel: int | None, at: tuple[int, ...] | None
) -> Spot:
    """A unit with everything filled in: the strongest map, its strongest position.

    Raises:
        VizError: a channel or position that the layer does not have.
    """
    answers = reading(net, win, layer).trace
    if channel is None:
        return strongest(net, win, layer, 1)[0]
    unit = viz.Unit(layer, channel, at) if at is not None else peak(answers, layer, channel)
    return _spot(answers, unit)


def _spot(answers: Any, unit: Any) -> Spot:
    return Spot(unit.layer, unit.channel, tuple(unit.at), activation(answers, unit))


def activation_map(net: Net, win: Prepared, layer: str, channel: int) -> Floats:
    """(T, H, W) of one feature map in the layer's own grid; (1, 1, 1) for fully connected."""
    values = np.asarray(
        reading(net, win, layer).trace.activations[layer][channel], dtype=np.float32
    )
    return values.reshape(values.shape if values.ndim == 3 else (1, 1, 1))


def back_projection(net: Net, win: Prepared, unit: Spot, method: str) -> viz.Attribution:
    """The map of one unit by one method."""
    wanted = viz.Unit(unit.layer, unit.channel, unit.at)

    def make() -> viz.Attribution:
        read = reading(net, win, unit.layer)
        with CORES:
            return read.attribute(wanted, method, progress=report)

    return kept(map_key(net, win, unit, method), make)


def map_key(net: Net, win: Prepared, unit: Spot, method: str) -> Key:
    return ("map", net.key, win.key, unit.layer, unit.channel, unit.at, method)


def classes(net: Net, win: Prepared, layer: str, k: int = 5) -> list[tuple[int, str, float]]:
    """The k most probable classes: number, name, probability; empty where the weights name none.

    ``layer``: one that is looked at anyhow, whose forward pass is asked.
    """
    if not net.spec.classes or net.spec.trained is False:
        return []
    logits = np.asarray(reading(net, win, layer).trace.output[0], dtype=np.float64)
    share = np.exp(logits - logits.max())
    share /= share.sum()
    best = np.argsort(-share, kind="stable")[:k]
    return [(int(i), net.spec.classes[i], float(share[i])) for i in best]


def forget(key: str) -> None:
    """Drop what was computed for a clip that was taken away, and give memory back."""
    CACHE.drop(key)
    memory.give_back()
