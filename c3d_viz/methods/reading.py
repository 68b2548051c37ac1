"""One clip, read once by the network, and asked about afterwards: any layer, unit and method.

``attribute`` runs the network for each question. Where questions about one clip come one after
the other, as in the dashboard, that is most of the waiting: of C3D's conv5b, nine parts of ten.
A ``Reading`` keeps what every layer answered, and only walks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor, nn

from ..engine import Pass, Trace, Unit, check_input, trace
from .asking import attributions
from .registry import Given
from .types import Attribution, Progress


class Reading:
    """What a network answered to one clip, and the way back from each of its answers.

    The maps are those of ``attribute``. Where all that ReLUs and poolings read was recorded, as in
    a chain, the ReLU rules need no further forward pass: poolings run again, which takes little.
    Other methods and networks are asked anew each time.

    Args:
        model: any module; in eval mode, and not changed while the reading is in use.
        x: one clip (1, 3, T, H, W).
        layers: those that are asked about; None is every layer, as of ``trace``.

    Attributes:
        trace: the activations of the layers.

    Raises:
        LayerError: no such layer.
        ShapeError: ``x`` is not one clip on the model's device and of its dtype.
    """

    def __init__(self, model: nn.Module, x: Tensor, layers: Sequence[str] | None = None) -> None:
        check_input(model, x)
        self.trace: Trace = trace(model, x, layers)
        self._model = model
        self._x = x

    @property
    def nbytes(self) -> int:
        """Bytes of the activations kept."""
        return sum(int(values.nbytes) for values in self.trace.activations.values())

    def attribute(
        self,
        unit: Unit,
        method: str = "deconvnet",
        *,
        settings: Given = None,
        progress: Progress | None = None,
    ) -> Attribution:
        """Project one unit back to the pixels; arguments and errors as ``attribute``."""
        return next(self.attribute_many([unit], method, settings=settings, progress=progress))

    def attribute_many(
        self,
        units: Iterable[Unit],
        method: str = "deconvnet",
        *,
        settings: Given = None,
        progress: Progress | None = None,
    ) -> Iterator[Attribution]:
        """The same for many units, in order and lazily, with shared work."""
        seen = Pass(self._model, self._x, self.trace)
        return attributions(seen, units, method, settings=settings, progress=progress)
