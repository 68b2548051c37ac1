"""Weights for C3D: the shipped compact nets, seeded random ones, and every known checkpoint.

``NetworkChoice`` says which network; its ``load``, or ``load_model`` with the same as keywords, is
the one door: a file of any known format -> the network and what it expects.
The way of a file: ``files`` (size, kind) -> ``readers`` (named tensors) -> ``keymaps`` (which
format) -> ``assemble`` (strict check, transposes) -> model and spec. ``load_state`` reads a
state_dict into a network of any kind; ``factory`` gets one from a function in somebody's code,
``kinetics`` from torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..arguments import checked
from ..errors import WeightsError
from ..nets import ChannelOrder, Layout, ModelSpec, Pool5
from .catalogue import MODELS, VIDEO_NETS, Architecture
from .choice import RANDOM, NetworkChoice, choose
from .fetch import DOWNLOADS, cache_folder, download
from .files import MAX_BYTES
from .inputs import read_mean
from .keymaps import FORMATS, Fc6Order
from .own import save_model
from .raw import Raw
from .report import LayerInfo, Report, format_report, inspect
from .state import LoadedState, load_state, read_state

_CHECKED_BY_CHOICE = ("mean", "scale", "resize", "crop", "std")


@checked(WeightsError, *_CHECKED_BY_CHOICE)
def load_model(
    name: str = "compact",
    weights: str | Path | None = None,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    channel_order: ChannelOrder | None = None,
    mean: str | Path | Sequence[float] | None = None,
    scale: float | None = None,
    resize: int | tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    pool5: Pool5 | None = None,
    classes: str | Path | Sequence[str] | None = None,
    fc6_order: Fc6Order | None = None,
    std: Sequence[float] | None = None,
    input: str | Path | None = None,
    frames: int | None = None,
    layout: Layout | None = None,
    stride: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[nn.Module, ModelSpec]:
    """A network ready to look inside, and the spec of what it is and what it expects.

    The model is in eval mode, float32, on the CPU, and its parameters take no gradient (maps need
    the gradient of the input only); training calls ``model.requires_grad_(True).train()``.

    Args:
        name: ``compact`` (default), ``compact-2d`` or ``c3d`` (a ``C3D``; with a file in a foreign
            format it is ``c3d`` whatever the name). Or one of torchvision's, ``r3d_18``,
            ``mc3_18``, ``r2plus1d_18``, ``s3d`` (extra ``torchvision``). Or a function that
            returns a network of your own, or a network and its InputSpec:
            ``path/to/file.py:function`` or ``package.module:function``. **This runs the file.**
            For both ``weights`` is a state_dict, loaded strictly (``load_state``); None and
            "random" keep what the function gives, and are random weights of torchvision's.
        weights: a checkpoint of any known format, recognised by its content; its tensors give
            width, fc, temporal depths and classes. None loads the shipped weights, or random ones
            where none are shipped (``c3d``). "random" asks for random ones; "default", for
            torchvision's networks, for theirs of Kinetics-400, with the names of its classes:
            fetched once, some 30 to 130 MB.
        seed: of random weights; the same seed gives the same weights.
        num_classes: length of the logits. A file with another number is an error; a file without
            a classifier gets a random fc8 of this length (none, and empty logits, without it).
        channel_order, mean, scale, resize, crop: override the format's preprocessing, see
            ``override_input``. ``mean`` is three numbers in channel order, or a .npy or
            .binaryproto volume.
        pool5: "ceil" or "padded", overrides the format's.
        classes: class names, a text file with one a line or a sequence.
        fc6_order: "chw" or "hwc", order of fc6's rows in a channels-last file.
        std: three positive numbers (or one) that the pixels are divided by, see ``InputSpec``.
        input: a TOML file with fields of ``InputSpec``; the single arguments go before it.
        frames, layout, stride: how many frames the network takes, in which order of axes, and
            every n-th of a video (``InputSpec``). C3D's are 16 and "CTHW".
        max_bytes: largest file that is read, and most it may unpack to.

    Raises:
        WeightsError: unknown name, no such file, damaged or hostile file, tensors that do not
            fit, or an override that makes no sense. One line that names the file.
    """
    choice = NetworkChoice(
        model=name,
        weights=weights,
        seed=seed,
        num_classes=num_classes,
        channel_order=channel_order,
        mean=mean,
        input_scale=scale,
        resize=resize,
        crop=crop,
        pool5=pool5,
        classes=classes,
        fc6_order=fc6_order,
        std=std,
        input=input,
        frames=frames,
        layout=layout,
        frame_stride=stride,
    )
    return choice.load(max_bytes)
