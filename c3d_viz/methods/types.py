"""What a method is, what it is given, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ..engine import RuleReport, Unit
from ..errors import VizError
from ..render import inline
from .settings import Settings
from .targets import Channel, Output

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]  # (passes made, passes in all)


@dataclass(frozen=True)
class Attribution:
    """What one unit sees in the clip.

    Attributes:
        values: float32 (C, T, H, W) on the grid of the input tensor, unnormalised, signed where
            the method is. C is 3, in the input's channel order, or 1 where the method knows no
            colours (class activation maps, masks). Scaling belongs to rendering.
        unit: the unit, with a concrete position; of a whole channel or an output without one.
        method: key of METHODS.
        activation: the unit's answer in the forward pass; 0 where a unit does not respond.
        report: for deconvnet and guided, what their rule met on the unit's way; else None.
        precision_note: why another precision was used than the one asked for; else None.
        native: float32 (T', H', W'), the map on its own grid where that is a layer's and not the
            clip's; ``values`` then holds every time step for the frames it covers. Else None.
        native_layer: the layer whose grid that is.
        settings: the method's settings; None where it has none.
        target: the channel or output that was asked about in place of a unit; else None.
    """

    values: Floats
    unit: Unit
    method: str
    activation: float
    report: RuleReport | None = None
    precision_note: str | None = None
    native: Floats | None = None
    native_layer: str = ""
    settings: Settings | None = None
    target: Channel | Output | None = None

    @property
    def about(self) -> str:
        """Whom the map is about, for the title of a picture."""
        plain = f"{self.unit.layer} · channel {self.unit.channel}"
        return plain if self.target is None else str(self.target)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that have to stand wherever the map is shown; mostly none."""
        lines = () if self.report is None else self.report.notes(self.method)
        if self.native is not None:
            lines += (grid_note(self.native_layer, self.native.shape, self.values.shape[1:]),)
        if self.settings is not None and str(self.settings):
            lines += (f"settings: {self.settings}",)
        return lines if self.precision_note is None else (*lines, self.precision_note)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: the map by itself; ``show`` lays it over its clip."""
        return inline(self)._repr_mimebundle_()


def grid_note(layer: str, native: tuple[int, ...], shown: tuple[int, ...]) -> str:
    """The sentence that keeps stretched time from being read as measured."""
    steps = "1 time step" if native[0] == 1 else f"{native[0]} time steps"
    return (
        f"the class activation map has {steps} of {native[1]} x {native[2]} cells (layer {layer}), "
        f"stretched to {shown[0]} frames of {shown[1]} x {shown[2]}; nothing between them was "
        f"measured"
    )


@dataclass(frozen=True)
class OnGrid:
    """What a method returns in place of a tensor if its map lives on a layer's grid.

    Attributes:
        values: (1, C, T, H, W) on the clip's grid.
        native: (T', H', W').
        layer: whose grid that is.
        report: of a rule that took part.
    """

    values: Tensor
    native: Tensor
    layer: str
    report: RuleReport | None = None


# (model in eval mode, one clip, unit with a position) -> what the unit sees: (1, C, T, H, W) of the
# clip's size, C its colours or 1. Further keywords: ``progress`` where the method reports,
# ``settings`` where it has some.
MethodFunction = Callable[..., Tensor | OnGrid]
# (model, clip, layers of units, settings) -> for each layer about whose units the method has
# nothing to say, the error that says why
Check = Callable[[nn.Module, Tensor, Sequence[str], Any], dict[str, VizError]]
Scope = Literal["field", "clip", "model"]


@dataclass(frozen=True)
class Method:
    """A way to ask what a unit sees.

    Attributes:
        title: name for people.
        sentence: what the map means, in one sentence.
        paper: where it comes from.
        rule: key of the engine's RULES, for a method that is one backward walk; else None.
        function: for every other method; see MethodFunction.
        reports: ``function`` takes many passes and a keyword ``progress`` to report them to.
        settings: the class of its settings; None where it has none.
        scope: what ``function`` may be given. "field": the unit's receptive field in place of the
            clip and the layers up to the unit in place of the model, where these are known; right
            for a map that depends on the clip through the unit's answer alone, pixel by pixel.
            "clip": the whole clip, and a model up to the unit. "model": the whole model, for a
            function that asks other layers too.
        needs_relus: the map would be another one where the unit's way meets no ReLU.
        check: which layers it cannot be asked about; None: it can about all.
    """

    title: str
    sentence: str
    paper: str
    rule: str | None = None
    function: MethodFunction | None = None
    reports: bool = False
    settings: type[Settings] | None = None
    scope: Scope = "field"
    needs_relus: bool = False
    check: Check | None = None
