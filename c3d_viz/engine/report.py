"""What a rule did on a unit's way: how many ReLUs it met, and what it had to leave as it was.

A rule is defined at ReLUs. Where a unit's way back meets none, the map called guided or deconvnet
would be the plain gradient, so it is refused; where other activations lie between the ReLUs, the
map says so. The way is read off autograd's graph: only what lies between the unit's layer and the
clip counts, not what the network holds elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from ..errors import VizError
from .nonlinear import RULED, nonlinearity, stem

_STEPS = {"Sign", "Sgn", "Floor", "Ceil", "Round", "Trunc"}  # their gradient is 0 everywhere


@dataclass(frozen=True)
class RuleReport:
    """What lies on a unit's way to the clip.

    Attributes:
        relus: how many ReLUs the rule holds at; one that only steps (sign, floor ...) join to the
            clip is none of them, as no gradient crosses it.
        others: all else there that is not linear and no max-pooling, each name once, in order of
            their names. It keeps its ordinary gradient under every rule. An activation written as
            a formula shows up as its parts (``x * sigmoid(x)`` as Sigmoid and product of
            activations, ``x * (x > 1)`` as comparison); see ``nonlinear``.
    """

    relus: int
    others: tuple[str, ...] = ()

    def notes(self, method: str) -> tuple[str, ...]:
        """Lines for people, to stand wherever the map does; () where the rule held throughout."""
        if not self.others:
            return ()
        relus = "1 ReLU" if self.relus == 1 else f"{self.relus} ReLUs"
        return (
            f"{method} holds at ReLUs only: {relus} on this unit's way; {', '.join(self.others)} "
            f"there kept the ordinary gradient.",
        )


def refuse_plain(rule: str, layer: str, others: Iterable[str]) -> VizError:
    """The error for a map that would be called ``rule`` and be the gradient."""
    known = ", ".join(others)
    return VizError(
        f"{rule} changes ReLUs only, and the way from {layer} to the clip has none "
        f"({'only ' + known if known else 'nor any activation that is known'}): the map would be "
        f"the plain gradient; ask for method 'gradient'"
    )


@dataclass(frozen=True)
class Way:
    """The part of autograd's graph between a layer and the clip.

    Attributes:
        reaches: whether there is one.
        report: what lies on it.
        reentrant: it holds an activation checkpoint that only a full ``backward()`` can cross.
        undefined: it holds an operation for which PyTorch has no gradient.
        nodes: of the graph, those of the way, the clip's own left out.
    """

    reaches: bool
    report: RuleReport
    reentrant: bool = False
    undefined: bool = False
    nodes: frozenset[Node] = frozenset()


def way(layer: Tensor, clip: Tensor | GradientEdge) -> Way:
    """Read the way from ``layer`` back to ``clip`` off the graph; nothing is computed."""
    if not layer.requires_grad:
        return Way(False, RuleReport(0))
    with torch.inference_mode(False), torch.enable_grad():
        start = get_gradient_edge(layer).node
        goal = (get_gradient_edge(clip) if isinstance(clip, Tensor) else clip).node
    users: dict[Node, list[Node]] = {start: []}  # by node: those that hand their signal to it
    waiting = [start]
    while waiting:
        node = waiting.pop()
        # what copy_ overwrites gets no signal
        for below, _ in node.next_functions[node.name().endswith("CopyBackwards") :]:
            if below is None:
                continue
            if below not in users:
                users[below] = []
                waiting.append(below)
            users[below].append(node)
    if goal not in users:
        return Way(False, RuleReport(0))
    on_way = _above(goal, users, ())
    stems = [stem(node) for node in on_way]
    live = _above(goal, users, _STEPS)
    names = {nonlinearity(node, live, on_way) for node in on_way - {goal}} - {None}
    report = RuleReport([stem(node) for node in live].count(RULED), tuple(sorted(map(str, names))))
    return Way(
        True,
        report,
        "CheckpointFunction" in stems,
        any(stem.endswith("NotImplemented") for stem in stems),
        frozenset(on_way - {goal}),
    )


def _above(goal: Node, users: Mapping[Node, Sequence[Node]], barred: Container[str]) -> set[Node]:
    """The nodes from which a signal comes to ``goal`` without crossing one of the barred stems."""
    found, waiting = {goal}, [goal]
    while waiting:
        for user in users[waiting.pop()]:
            if user not in found and stem(user) not in barred:
                found.add(user)
                waiting.append(user)
    return found


def crossed(passage: Way, layer: str, depends: Callable[[], bool]) -> bool:
    """Whether there is a way back that can be walked; False where the layer sees no clip.

    Args:
        passage: what ``way`` found.
        layer: its name.
        depends: whether the layer's answers follow the clip all the same; asked only if need be.

    Raises:
        VizError: the way is cut, or holds a re-entrant activation checkpoint or an operation
            that has no gradient.
    """
    if passage.undefined:
        raise VizError(
            f"the way from {layer} to the clip holds an operation for which PyTorch has no "
            f"gradient (as heaviside); write it otherwise, for example as (x > 0)"
        )
    if passage.reentrant:
        raise VizError(
            f"{layer} lies above a re-entrant activation checkpoint, which no gradient of the clip "
            f"can cross; use checkpoint(..., use_reentrant=False), or switch checkpointing off"
        )
    if not passage.reaches and depends():
        raise VizError(
            f"the model detaches {layer} from its input (detach, no_grad, a re-entrant checkpoint "
            f"or an operation without gradient): there is no way back to the clip"
        )
    return passage.reaches
