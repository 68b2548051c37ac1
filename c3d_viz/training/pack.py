"""From a finished run to a file that ``load_model`` reads."""

from __future__ import annotations

from pathlib import Path

from .. import weights
from ..nets import COMPACT_INPUT, ModelSpec
from ..synthetic import CLASSES, HOWS, WHATS
from .nets import TrainNet, to_c3d

SHIPPED = Path(weights.__file__).parent  # where load_model looks for the named networks
NAMES = {3: "compact", 1: "compact-2d"}  # by temporal depth


def pack(net: TrainNet, seen: int, path: Path | None = None) -> Path:
    """Fold ``net`` into a plain C3D and write it as float16 safetensors.

    Batch normalisation goes into weights and biases, the heads *what* and *how* into one fc8 of
    60 logits: logit[what, how] = what + how.

    Args:
        net: trained on (what, how), of temporal depth 3 or 1.
        seen: how many clips it was trained on, for the line beside every picture.
        path: file to write; None replaces the network that ships with the package.
    """
    name = NAMES[net.depth]
    line = (
        f"{name}: trained on {seen:,} synthetic clips, {len(CLASSES)} classes "
        f"({len(WHATS)} kinds x {len(HOWS)} motions)"
    )
    spec = ModelSpec(
        name=name,
        weights=line,
        trained=True,
        input=COMPACT_INPUT,
        num_classes=len(CLASSES),
        classes=CLASSES,
    )
    target = SHIPPED / f"{name}.safetensors" if path is None else path
    target.parent.mkdir(parents=True, exist_ok=True)
    return weights.save_model(target, to_c3d(net), spec, half=True, description=line)
