"""Every measurement that a run asks for, and the arrays they gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from ...clips import preprocess_frames
from ...engine import top_units, trace
from ...nets import InputSpec
from ...trust import weight_randomisation
from ...units import answers, paired_clips
from ...work import Piece
from ..types import DECIDING, LAYER, Arrays, Recipe, StudySettings
from .contrasts import single_contrast
from .maps import measure
from .networks import Networks
from .perturbation import perturb
from .windows import ClipWindow, frozen, shuffled

#: Raised when a definition changes, so that no measurement of an older one is used again.
DEFINITION = 1


@dataclass(frozen=True)
class Study:
    """Measured arrays of a run by the keys of :func:`plan`."""

    settings: StudySettings
    windows: tuple[ClipWindow, ...]
    synthetic: tuple[ClipWindow, ...]
    networks: tuple[Recipe, ...]
    measured: dict[str, Arrays]

    def names(self, kind: str) -> list[str]:
        """Names of the networks of a kind, in order."""
        return [net.name for net in self.networks if net.kind == kind]

    def curves(self, network: str, window: ClipWindow) -> Arrays:
        """What :func:`measure` gave."""
        return self.measured[f"{network}--{window.name}"]

    def frozen(self) -> list[Arrays]:
        """Curves of the trained network on every window's middle frame, repeated."""
        return [self.measured[f"frozen--{window.name}"] for window in self.windows]

    def shuffled(self, network: str, window: ClipWindow) -> Arrays | None:
        """C (permutations, methods) on shuffled frames; None where this network had no turn."""
        return self.measured.get(f"shuffled-{network}--{window.name}")

    def randomised(self, window: ClipWindow) -> Arrays:
        """Similarities (methods, depths) of the strongest unit's map as layers are made random."""
        return self.measured[f"randomised--{window.name}"]

    def perturbed(self, network: str, window: ClipWindow) -> Arrays | None:
        """What :func:`perturb` gave; None where this network had no turn."""
        return self.measured.get(f"perturbed-{network}--{window.name}")

    def shared(self, network: str) -> Arrays | None:
        """Answers to the paired clips; only the trained network and the twin have them."""
        return self.measured.get(f"shared-{network}")


def plan(
    settings: StudySettings,
    networks: Networks,
    recipes: Sequence[Recipe],
    windows: Sequence[ClipWindow],
    synthetic: Sequence[ClipWindow],
) -> list[Piece]:
    """Every piece of work, network by network, so that one network at a time is in memory."""
    reinits = [net for net in recipes if net.kind == "reinit"]
    every = windows[:: settings.perturbed_every]
    pieces: list[Piece] = []
    for net in recipes:
        methods = (*DECIDING, "deconvnet") if net.kind == "trained" else DECIDING
        clips = list(windows)
        if net.kind == "trained" or net in reinits[: settings.synthetic_reinit]:
            clips += synthetic
        pieces += [_curves(networks, net, window, methods) for window in clips]
        if net.kind == "trained":
            pieces += [_frozen(networks, net, window) for window in windows]
            pieces += [_randomised(networks, net, w, i, settings) for i, w in enumerate(windows)]
        if net.kind in ("trained", "twin"):
            pieces.append(_shared(networks, net, settings))
        turns, perturbed = range(0), list[ClipWindow]()
        if net.kind == "trained":
            turns, perturbed = range(settings.shuffles), [*every, *synthetic]
        elif net.kind == "reinit":  # the networks take turns: permutations, and windows
            k = reinits.index(net)
            turns = range(k, settings.shuffles, len(reinits))
            perturbed = [w for i, w in enumerate(every) if i % len(reinits) == k]
        if turns:
            pieces += [
                _shuffled(networks, net, w, i, list(turns), settings) for i, w in enumerate(windows)
            ]
        pieces += [_perturbed(networks, net, window) for window in perturbed]
    return pieces


def _piece(
    networks: Networks,
    net: Recipe,
    names: tuple[str, str],
    cost: int,
    work: Callable[[nn.Module, InputSpec], Arrays],
    *facts: object,
) -> Piece:
    """names: key, and what it is for people."""

    def run() -> Arrays:
        model, spec = networks.get(net)
        return work(model, spec.input)

    return Piece(*names, cost, (DEFINITION, *networks.facts(net), *facts), run)


def _curves(networks: Networks, net: Recipe, window: ClipWindow, methods: Sequence[str]) -> Piece:
    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        return measure(model, spec, window, methods)

    names = f"{net.name}--{window.name}", f"{net.name}: {window.name}"
    return _piece(networks, net, names, 8 * len(methods) + 4, work, window.sha256, methods)


def _frozen(networks: Networks, net: Recipe, window: ClipWindow) -> Piece:
    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        return measure(model, spec, frozen(window), DECIDING)

    names = f"frozen--{window.name}", f"frozen: {window.name}"
    return _piece(networks, net, names, 20, work, window.sha256)


def _shuffled(
    networks: Networks,
    net: Recipe,
    window: ClipWindow,
    number: int,
    turns: list[int],
    settings: StudySettings,
) -> Piece:
    """Mean C of the strongest unit over the permutations ``turns``; no reversal, one order each."""

    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        rows = []
        for turn in turns:
            clip = shuffled(window, (settings.seed, number, turn))
            arrays = measure(model, spec, clip, DECIDING, units=1, backward=False)
            rows.append([single_contrast(arrays, m) for m in range(len(DECIDING))])
        return {"C": np.asarray(rows), "turns": np.asarray(turns)}

    names = f"shuffled-{net.name}--{window.name}", f"{net.name}, shuffled: {window.name}"
    facts = window.sha256, settings.seed, number, turns
    return _piece(networks, net, names, 5 * len(turns), work, *facts)


def _randomised(
    networks: Networks, net: Recipe, window: ClipWindow, number: int, settings: StudySettings
) -> Piece:
    seed = 3000 + number + 100_000 * settings.seed

    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        x = preprocess_frames(window.frames, spec)
        unit = top_units(trace(model, x, [LAYER]), LAYER, 1)[0]
        found = [weight_randomisation(model, x, unit, m, seed=seed) for m in DECIDING]
        return {
            key: np.array([[getattr(s, key) for s in row] for row in found])
            for key in ("spearman", "beyond_paths", "ssim")
        }

    names = f"randomised--{window.name}", f"random layers: {window.name}"
    return _piece(networks, net, names, 46, work, window.sha256, seed)


def _perturbed(networks: Networks, net: Recipe, window: ClipWindow) -> Piece:
    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        return perturb(model, spec, window)

    names = f"perturbed-{net.name}--{window.name}", f"{net.name}, perturbed: {window.name}"
    return _piece(networks, net, names, 76, work, window.sha256)


def _shared(networks: Networks, net: Recipe, settings: StudySettings) -> Piece:
    def work(model: nn.Module, spec: InputSpec) -> Arrays:
        return answers(model, spec, paired_clips(settings.pairs, 7 + settings.seed))

    names = f"shared-{net.name}", f"{net.name}: paired clips"
    return _piece(networks, net, names, 9 * settings.pairs, work, settings.pairs, settings.seed)
