"""torchvision's video networks and their Kinetics-400 weights, through torchvision's own loader.

torchvision is an extra and is imported here alone, inside functions.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import nn

from ..errors import WeightsError, printable
from ..nets import InputSpec, ModelSpec
from . import files
from .catalogue import MAX_CLASSES, VIDEO_NETS
from .factory import outputs_of, taking
from .raw import without_prefixes
from .state import load_state, read_state

DEFAULT = "default"  # value of ``weights`` that asks for the published ones
_HEADS = ("fc.weight", "classifier.1.weight")
_CLASSES = 400

_importing = threading.Lock()
_declared: list[torch.library.Library] = []  # a library takes its operators with it


def video_models() -> Any:
    """The module ``torchvision.models.video``.

    A torchvision built for another PyTorch does not load its compiled operators, and then stops
    at the first one it wants to describe. The video networks use none of them, so those are
    declared, without anything behind them.

    Raises:
        WeightsError: torchvision is not installed or cannot be imported.
    """
    with _importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(8):  # nms and qnms are missing; a later release may want a few more
            try:
                return importlib.import_module("torchvision.models.video")
            except (ImportError, RuntimeError) as error:
                if isinstance(error, ImportError) and _is_torchvision(error.name or ""):
                    raise WeightsError(
                        f"{', '.join(VIDEO_NETS)} come from torchvision, which is not installed; "
                        f"run: pip install 'c3d-viz[torchvision]'"
                    ) from None
                missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
                if missing is None:
                    raise WeightsError(
                        f"torchvision cannot be imported ({files.one_line(error)}); install the "
                        f"one for PyTorch {torch.__version__}"
                    ) from error
                _declare(missing[1])
        raise WeightsError("torchvision cannot be imported: too many operators are missing")


def _declare(operator: str) -> None:
    # FRAGMENT: not the namespace's owner, which the compiled part would be
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    for name in filter(_is_torchvision, list(sys.modules)):
        del sys.modules[name]  # half imported


def _is_torchvision(module: str) -> bool:
    return module.partition(".")[0] == "torchvision"


def load_video_net(
    name: str,
    weights: str | None,
    num_classes: int | None,
    state: Callable[[InputSpec], InputSpec],
    seed: int,
    max_bytes: int,
) -> tuple[nn.Module, ModelSpec]:
    """One of ``VIDEO_NETS`` on the CPU, and its spec.

    Args:
        weights: None for random ones; ``DEFAULT`` for torchvision's of Kinetics-400, fetched once
            into torch.hub's folder; or a state_dict file, whose head gives the number of classes.
        num_classes: of random weights; of others it must be theirs.
        state: gives the input from the network's usual one.
        seed: of random weights; the caller's random numbers stay as they are.

    Raises:
        WeightsError: no torchvision, no network to fetch from, or weights that do not fit.
    """
    make = getattr(video_models(), name)
    taken = state(VIDEO_NETS[name])
    path = enum = None
    if weights == DEFAULT:
        enum = _published(name)
        path = _fetched(name, enum)
    elif weights is not None:
        path = Path(weights)
    count = num_classes or _CLASSES
    if path is not None:
        count = _classes_in(path, max_bytes)
        if num_classes not in (None, count):
            raise WeightsError(f"{path}: has {count} classes, not {num_classes}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: nn.Module = make(num_classes=count)
    if taken != VIDEO_NETS[name]:
        model = taking(model.eval(), taken)
        outputs_of(model, taken, name, seed)  # does it take such a clip?
    line, source, sha256 = f"random weights (seed {seed}), untrained", None, None
    if path is not None:
        loaded = load_state(model, path, max_bytes=max_bytes)
        line, source, sha256 = f"{path.name}, in {name}", str(path), loaded.sha256
    if enum is not None:
        line = f"{name}: trained on Kinetics-400 ({enum.url.rpartition('/')[2]}, torchvision)"
    return model, ModelSpec(
        name=name,
        weights=printable(line),
        trained=path is not None,
        input=taken,
        num_classes=count,
        classes=None if enum is None else tuple(map(printable, enum.meta["categories"])),
        source=source,
        sha256=sha256,
        format=None if path is None else "state_dict",
    )


def _published(name: str) -> Any:
    """torchvision's entry for the Kinetics-400 weights: url, meta, transforms, get_state_dict."""
    video_models()
    get_weight = importlib.import_module("torchvision.models").get_model_weights
    return get_weight(name).DEFAULT


def _fetched(name: str, enum: Any) -> Path:
    """The file of published weights, fetched by torchvision's loader where it is not there yet."""
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(enum.url).path).name)
    if path.is_file():
        return path
    size = f"{enum.meta['_file_size']:.0f} MB"
    print(f"{name}: fetching {size} of Kinetics-400 weights to {path}", file=sys.stderr, flush=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where torch.hub announces what it does
            enum.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, RuntimeError) as error:  # no network, a full disk, a wrong hash
        raise WeightsError(
            f"{enum.url} ({size}) cannot be fetched ({files.one_line(error, 200)}); check the "
            f"network, or fetch it elsewhere and pass the file as weights"
        ) from None
    return path


def _classes_in(path: Path, max_bytes: int) -> int:
    """Length of the logits in a state_dict of one of the networks; 400 where it has no head."""
    for key, tensor in read_state(path, max_bytes=max_bytes).tensors.items():
        if without_prefixes(key) in _HEADS and tensor.ndim and 1 <= len(tensor) <= MAX_CLASSES:
            return len(tensor)
    return _CLASSES
