"""The known checkpoint formats: how each names and lays out its tensors, and what it implies.

To add a format: write down its names in ``FORMATS``. If its tensors lie in memory in a new way,
add a ``Layout`` and teach ``assemble.source_shape`` and ``assemble.to_model`` about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..nets import CAFFE_INPUT, COMPACT_INPUT, CONV_LAYERS, LAYERS, MMACTION_INPUT, InputSpec, Pool5
from .files import Container
from .raw import Raw, without_prefixes

# torch: conv (out, in, t, h, w), linear (out, in).
# caffe: conv the same, linear (1, 1, 1, out, in), bias (1, 1, 1, 1, n).
# channels_last: conv (t, h, w, in, out), linear (in, out); fc6 rows see ``Format.fc6_order``.
Layout = Literal["torch", "caffe", "channels_last"]
# Order in which fc6 reads pool5: "chw" as C3D's own, "hwc" as a channels-last Flatten.
Fc6Order = Literal["chw", "hwc"]

_TORCH: tuple[Container, ...] = ("torch zip", "torch pickle", "safetensors")


@dataclass(frozen=True)
class Format:
    """One way to store a C3D.

    Attributes:
        key: short name, as in ``ModelSpec.format``.
        title: name for people.
        containers: kinds of file it comes in.
        names: parameter of the model (``conv1a.weight``) -> name in the file.
        layout: how the tensors lie in memory.
        input: preprocessing the weights expect.
        pool5: form of pool5 in the source's own network.
        wrapped: True or False when the format is only ever (or never) inside a training
            checkpoint, None when both occur.
        fc6_order: order of fc6's rows for channels-last layouts.
        headless: the classifier fc8 may be missing.
        notes: what a user of these weights should know, one line each.
    """

    key: str
    title: str
    containers: tuple[Container, ...]
    names: Mapping[str, str]
    input: InputSpec
    pool5: Pool5
    layout: Layout = "torch"
    wrapped: bool | None = None
    fc6_order: Fc6Order = "chw"
    headless: bool = False
    notes: tuple[str, ...] = ()


def _named(layers: Iterable[str], pattern: str = "{}") -> dict[str, str]:
    """Names of all 22 parameters from the source's names of the 11 layers."""
    return {
        f"{ours}.{kind}": f"{pattern.format(theirs)}.{kind}"
        for ours, theirs in zip(LAYERS, layers, strict=True)
        for kind in ("weight", "bias")
    }


_PORT = ("conv1", "conv2", *CONV_LAYERS[2:], "fc6", "fc7", "fc8")
_FEATURES = tuple(f"features.{i}" for i in (0, 3, 6, 8, 11, 13, 16, 18))
_CLASSIFIER = tuple(f"classifier.{i}" for i in (0, 3, 6))
_TF = ("c1", "c2", "c3a", "c3b", "c4a", "c4b", "c5a", "c5b", "d1", "d2", "out")
_MMACTION = {
    f"{layer}.{kind}": f"{layer}.conv.{kind}" if layer in CONV_LAYERS else f"{layer}.{kind}"
    for layer in LAYERS[:-1]
    for kind in ("weight", "bias")
}
_MMACTION_HEAD = {f"fc8.{kind}": f"cls_head.fc_cls.{kind}" for kind in ("weight", "bias")}

_JFZHANG_INPUT = CAFFE_INPUT.replace(mean=(90.0, 98.0, 102.0))
_TF_INPUT = CAFFE_INPUT.replace(channel_order="RGB", resize=112)

_CEIL_NOTE = (
    "the port pads pool5; its 487-class weights come from Caffe, which clips: pool5='ceil' gives "
    "the logits of the release"
)

FORMATS: tuple[Format, ...] = (
    Format("c3d_viz", "own format", _TORCH, _named(LAYERS), COMPACT_INPUT, "ceil"),
    Format(
        "caffe",
        "Caffe C3D v1.0",
        ("caffe",),
        _named((*CONV_LAYERS, "fc6-1", "fc7-1", "fc8-1")),
        CAFFE_INPUT,
        "ceil",
        "caffe",
    ),
    Format(
        "caffe-finetuned",
        "Caffe C3D v1.0, fine-tuned",
        ("caffe",),
        _named(LAYERS),
        CAFFE_INPUT,
        "ceil",
        "caffe",
    ),
    Format(
        "davidea",
        "DavideA PyTorch port",
        _TORCH,
        _named(_PORT),
        CAFFE_INPUT,
        "padded",
        wrapped=False,
        notes=(_CEIL_NOTE,),
    ),
    Format(
        "jfzhang95-finetuned",
        "jfzhang95 PyTorch port, fine-tuned",
        _TORCH,
        _named(_PORT),
        _JFZHANG_INPUT,
        "padded",
        wrapped=True,
        notes=(
            "the port sorted frames as text (0, 1, 10, 11, ...): nets fine-tuned with it saw "
            "scrambled time",
        ),
    ),
    Format(
        "jfzhang95",
        "jfzhang95 PyTorch port",
        _TORCH,
        _named((*_FEATURES, *_CLASSIFIER)),
        _JFZHANG_INPUT,
        "padded",
        notes=(_CEIL_NOTE,),
    ),
    Format(
        "mmaction2",
        "MMAction2 backbone",
        _TORCH,
        _MMACTION,
        MMACTION_INPUT,
        "padded",
        headless=True,
    ),
    Format(
        "mmaction2-recognizer",
        "MMAction2 recognizer",
        _TORCH,
        {ours: f"backbone.{theirs}" for ours, theirs in _MMACTION.items()} | _MMACTION_HEAD,
        MMACTION_INPUT,
        "padded",
    ),
    Format(
        "keras",
        "Keras port",
        ("h5",),
        _named(_PORT),
        CAFFE_INPUT,
        "ceil",
        "channels_last",
        fc6_order="hwc",
    ),
    Format(
        "tensorflow",
        "TensorFlow port",
        ("npz",),
        {
            f"{ours}.{kind}": f"{letter}{theirs}"
            for ours, theirs in zip(LAYERS, _TF, strict=True)
            for kind, letter in (("weight", "w"), ("bias", "b"))
        },
        _TF_INPUT,
        "ceil",
        "channels_last",
        fc6_order="hwc",
    ),
)


def recognise(raw: Raw) -> tuple[Format, dict[str, str]] | None:
    """The format that shares most names with the file, and the file's own name of each of them.

    ``module.``, ``model.`` and the like (see ``without_prefixes``) and TensorFlow's ``var_name/``
    are looked through. None when no format shares at least a quarter of its names.
    """
    own = {_bare(name, raw.container): name for name in raw.tensors}
    best, best_score = None, 0.25
    for candidate in FORMATS:
        if raw.container not in candidate.containers:
            continue
        if candidate.wrapped is not None and candidate.wrapped != (raw.wrapped is not None):
            continue
        score = sum(name in own for name in candidate.names.values()) / len(candidate.names)
        if score > best_score:
            best, best_score = candidate, score
    return None if best is None else (best, own)


def _bare(name: str, container: Container) -> str:
    if container == "npz":
        return name.rsplit("/", 1)[-1] if name.count("/") == 1 else name
    if container in _TORCH:
        return without_prefixes(name)
    return name


def tensorflow_fc6_order(num_classes: int) -> Fc6Order:
    """fc6 order of a TensorFlow file, which the file itself does not tell.

    Of the port's three files only ``sports1m_finetuning_ucf101.model`` (101 classes, the one its
    code uses) was trained with pool5 transposed to C, H, W before fc6.
    """
    return "chw" if num_classes == 101 else "hwc"
