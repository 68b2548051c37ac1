"""The networks of the test by name: trained, re-initialised, permuted, the 2D twin."""

from __future__ import annotations

import hashlib
import threading

from torch import nn

from ...nets import ModelSpec
from ...trust import permuted, reinitialised
from ..types import TRAINED, TWIN, Recipe

_KEPT = 2


def recipes(reinit: int, permutations: int, seed: int, twin: bool) -> list[Recipe]:
    """Every network of the test, the trained one first. Seeds as docs/finding.md, section 2."""
    found = [Recipe(TRAINED, "trained")]
    found += [Recipe(f"reinit-{k:02d}", "reinit", 1000 + k + 100_000 * seed) for k in range(reinit)]
    found += [
        Recipe(f"permuted-{k}", "permuted", 2000 + k + 100_000 * seed) for k in range(permutations)
    ]
    return [*found, Recipe(TWIN, "twin")] if twin else found


class Networks:
    """Makes the networks when they are asked for and keeps the last two; safe for threads."""

    def __init__(
        self, trained: nn.Module, spec: ModelSpec, twin: tuple[nn.Module, ModelSpec] | None
    ) -> None:
        self.trained, self.spec, self.twin = trained, spec, twin
        self._made: dict[Recipe, nn.Module] = {}
        self._lock = threading.Lock()
        self._facts: dict[str, tuple[str, str]] = {}

    def get(self, recipe: Recipe) -> tuple[nn.Module, ModelSpec]:
        """The network in eval mode, and what it expects as input."""
        if recipe.kind == "trained":
            return self.trained, self.spec
        if recipe.kind == "twin":
            assert self.twin is not None
            return self.twin
        with self._lock:
            if recipe not in self._made:
                assert recipe.seed is not None
                make = reinitialised if recipe.kind == "reinit" else permuted
                while len(self._made) >= _KEPT:
                    self._made.pop(next(iter(self._made)))
                self._made[recipe] = make(self.trained, recipe.seed).eval()
            return self._made[recipe], self.spec

    def facts(self, recipe: Recipe) -> tuple[str, str]:
        """What a measurement with this network depends on: parameters and preprocessing.

        A re-initialised network depends on the architecture only, so its work serves every
        checkpoint of it.
        """
        if recipe.name not in self._facts:
            model, spec = self.get(recipe)
            volume = spec.input.mean_volume
            mean = "" if volume is None else hashlib.sha256(volume.tobytes()).hexdigest()
            self._facts[recipe.name] = (digest(model), f"{spec.input!r} {mean}")
        return self._facts[recipe.name]


def digest(model: nn.Module) -> str:
    """SHA-256 of every convolution's parameters and names, whatever file they came from.

    Nothing behind the convolutions takes part in the test.
    """
    total = hashlib.sha256()
    for name, values in model.state_dict().items():
        if not name.startswith("fc"):
            total.update(name.encode())
            total.update(values.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
