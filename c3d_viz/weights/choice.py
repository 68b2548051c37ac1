"""Which network: one value that everything takes, gives and writes down.

``NetworkChoice.load`` is where each kind of network has its loader; whatever takes a choice
(export, layers, command line) then has it. What is about C3D alone asks for ``load_c3d``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ..arguments import check_seed
from ..errors import WeightsError
from ..nets import C3D, ChannelOrder, InputSpec, Layout, ModelSpec, Pool5, initialise
from . import assemble, files
from .catalogue import MAX_CLASSES, MODELS, VIDEO_NETS
from .factory import is_factory, load_factory
from .files import MAX_BYTES
from .inputs import override_input, read_classes, read_input
from .keymaps import Fc6Order
from .kinetics import DEFAULT, load_video_net
from .readers import read

RANDOM = "random"  # value of ``weights`` that asks for an untrained network
_FOLDER = Path(__file__).parent
_OF_INPUT = (
    *("channel_order", "mean", "input_scale", "resize", "crop", "std", "input"),
    *("frames", "layout", "frame_stride"),
)
_PATHS = ("weights", "mean", "classes", "input")  # fields that may name a file


@dataclass(frozen=True)
class NetworkChoice:
    """A network by name, its weights, and what is said against the checkpoint.

    Paths may be given as ``Path``, tuples as any sequence; they are kept as ``str`` and ``tuple``,
    so that equal choices are equal and JSON gives the same value back. Nothing is checked before
    ``load``. The fields are those of ``load_model``, which documents them; ``input_scale`` and
    ``frame_stride`` are its ``scale`` and ``stride``.
    """

    model: str = "compact"
    weights: str | os.PathLike[str] | None = None
    seed: int = 0
    num_classes: int | None = None
    channel_order: ChannelOrder | None = None
    mean: str | Path | Sequence[float] | None = None
    input_scale: float | None = None
    resize: int | Sequence[int] | None = None
    crop: Sequence[int] | None = None
    pool5: Pool5 | None = None
    classes: str | Path | Sequence[str] | None = None
    fc6_order: Fc6Order | None = None
    std: Sequence[float] | None = None
    input: str | os.PathLike[str] | None = None
    frames: int | None = None
    layout: Layout | None = None
    frame_stride: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _plain(getattr(self, field.name))
            if field.name in ("mean", "std") and isinstance(value, tuple):
                with contextlib.suppress(TypeError, OverflowError):  # ``load`` says what is wrong
                    value = tuple(v if isinstance(v, str | bool) else float(v) for v in value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NetworkChoice:
        """The choice that ``to_json`` wrote.

        Raises:
            WeightsError: it has other fields.
        """
        try:
            return cls(**value)
        except TypeError:
            raise WeightsError(f"a network is chosen by {_NAMES}, got {', '.join(value)}") from None

    def to_json(self) -> dict[str, Any]:
        """Every field by name, as JSON keeps it (a tuple as a list)."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def options(self) -> list[str]:
        """The words that choose this network on a command line.

        Names of classes that were given one by one and not as a file have no option.
        """
        words = ["--model", self.model]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            names = field.name == "classes" and isinstance(value, tuple)
            if value != field.default and not names:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                words += [f"--{field.name.replace('_', '-')}", text]
        return words

    def absolute(self) -> NetworkChoice:
        """The same for a process that runs in another folder."""
        given = {name: getattr(self, name) for name in _PATHS}
        if self.weights in (RANDOM, DEFAULT):
            given.pop("weights")
        paths: dict[str, Any] = {k: os.path.abspath(v) for k, v in given.items() if type(v) is str}
        file, mark, function = self.model.rpartition(":")
        if mark and file.endswith(".py"):
            paths["model"] = f"{os.path.abspath(file)}:{function}"
        return dataclasses.replace(self, **paths)

    @property
    def is_c3d(self) -> bool:
        """Whether it is a C3D of some size: what is neither torchvision's nor somebody's own."""
        return not is_factory(self.model) and self.model not in VIDEO_NETS

    def load_c3d(self, max_bytes: int = MAX_BYTES) -> tuple[C3D, ModelSpec]:
        """The same for what is about C3D alone.

        Raises:
            WeightsError: another network is chosen (its code is not run), or as ``load_model``.
        """
        if not self.is_c3d:
            raise WeightsError(
                f"{self.model}: this takes a C3D, {', '.join(MODELS)}; other networks go to "
                f"export, layers, features and load_model"
            )
        model, spec = self.load(max_bytes)
        assert isinstance(model, C3D)
        return model, spec

    def load(self, max_bytes: int = MAX_BYTES) -> tuple[nn.Module, ModelSpec]:
        """The network and its spec; see ``load_model``, which has the errors too."""
        if self.model not in (*MODELS, *VIDEO_NETS) and not is_factory(self.model):
            raise WeightsError(
                f"no model {self.model!r}; choose from {', '.join((*MODELS, *VIDEO_NETS))}, or "
                f"name a function that returns a network: FILE.py:FUNCTION or "
                f"package.module:FUNCTION"
            )
        for name in _PATHS:
            if getattr(self, name) == "":
                raise WeightsError(f"{name}: the name is empty; give a file, or leave it out")
        if self.weights == DEFAULT and self.model not in VIDEO_NETS:
            raise WeightsError(
                f"{self.model}: {', '.join(VIDEO_NETS)} have weights by the name 'default'; leave "
                f"--weights out for what comes with this one"
            )
        if self.pool5 not in (None, "ceil", "padded"):
            raise WeightsError(f"pool5 must be 'ceil' or 'padded', got {self.pool5!r}")
        if self.fc6_order not in (None, "chw", "hwc"):
            raise WeightsError(f"fc6_order must be 'chw' or 'hwc', got {self.fc6_order!r}")
        if self.num_classes is not None and not 1 <= self.num_classes <= MAX_CLASSES:
            raise WeightsError(f"num_classes must be 1 to {MAX_CLASSES}, got {self.num_classes}")
        check_seed(self.seed, WeightsError)
        model: nn.Module
        if not self.is_c3d:
            model, spec = self._of_others(max_bytes)
            return model.eval().requires_grad_(False), self._named(spec)
        shipped = _FOLDER / f"{self.model}.safetensors"
        if self.weights == RANDOM or (self.weights is None and not shipped.is_file()):
            model, spec = _random(self)
        else:
            path = shipped if self.weights is None else Path(self.weights)
            model, spec = _from_file(self, path, max_bytes)
        model.eval().requires_grad_(False)
        return model, self._named(dataclasses.replace(spec, input=self._input(spec.input)))

    def _named(self, spec: ModelSpec) -> ModelSpec:
        """The spec with the classes that were given."""
        if self.classes is None:
            return spec
        return dataclasses.replace(spec, classes=read_classes(self.classes, spec.num_classes))

    def _input(self, spec: InputSpec, *, of_c3d: bool = True) -> InputSpec:
        """The input with what is said against it: the file first, then the single options."""
        if self.input is not None:
            spec = read_input(Path(self.input), spec, of_c3d=of_c3d)
        return override_input(
            spec,
            channel_order=self.channel_order,
            mean=self.mean,
            scale=self.input_scale,
            resize=cast(Any, self.resize),
            crop=cast(Any, self.crop),
            std=self.std,
            frames=self.frames,
            layout=self.layout,
            stride=self.frame_stride,
            of_c3d=of_c3d,
        )

    def _of_others(self, max_bytes: int) -> tuple[nn.Module, ModelSpec]:
        factory = is_factory(self.model)
        of_c3d = (*("num_classes",) * factory, "pool5", "fc6_order")
        if wrong := [name for name in of_c3d if getattr(self, name) is not None]:
            raise WeightsError(
                f"{self.model}: {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} about C3D"
                f"{'; the factory decides what its network is' if factory else ''}"
            )
        weights = None if self.weights == RANDOM else cast(str | None, self.weights)
        state = partial(self._input, of_c3d=False)
        if not factory:
            classes = self.num_classes
            return load_video_net(self.model, weights, classes, state, self.seed, max_bytes)
        own = None if weights is None else Path(weights)
        stated = any(getattr(self, name) is not None for name in _OF_INPUT)
        return load_factory(self.model, own, state if stated else None, self.seed, max_bytes)


def choose(
    network: NetworkChoice | None,
    model: str = "compact",
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    *,
    scale: float | None = None,
    **more: Any,
) -> NetworkChoice:
    """``network``, or where it is None the one that these arguments of ``load_model`` describe."""
    return network or NetworkChoice(model, weights, seed, input_scale=scale, **more)


_NAMES = ", ".join(field.name for field in dataclasses.fields(NetworkChoice))


def _plain(value: Any) -> Any:
    """A value that JSON and a hash can hold: paths as text, sequences as tuples."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    try:
        return tuple(v.item() if hasattr(v, "item") else v for v in value)
    except (TypeError, ValueError, RuntimeError):  # no row of numbers: what reads it says so
        return repr(value)


def _random(choice: NetworkChoice) -> tuple[C3D, ModelSpec]:
    sizes = MODELS[choice.model]
    classes = choice.num_classes or sizes.num_classes
    model = assemble.skeleton(
        classes, sizes.width, sizes.temporal_depths, sizes.fc, choice.pool5 or "ceil"
    )
    # to_empty would import a package of symbolic algebra, which takes a second
    room = {name: torch.empty(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(room, assign=True)
    initialise(model, choice.seed)
    spec = ModelSpec(
        name=choice.model,
        weights=f"random weights (seed {choice.seed}), untrained",
        trained=False,
        input=sizes.input,
        num_classes=classes,
        pool5=model.pool5_form,
    )
    return model, spec


def _from_file(choice: NetworkChoice, path: Path, max_bytes: int) -> tuple[C3D, ModelSpec]:
    wanted = choice.num_classes
    raw = read(path, max_bytes)
    found = assemble.resolve(raw, path, choice.fc6_order)
    spec = assemble.spec_of(found, raw, path, choice.model, sha256=files.sha256(path))
    if wanted is not None and found.num_classes not in (0, wanted):
        raise WeightsError(
            f"{path}: has {found.num_classes} classes, not {wanted}; leave num_classes out"
        )
    model = assemble.build(found, choice.pool5 or spec.pool5, path)
    line, source = spec.weights, spec.source
    if found.num_classes == 0 and wanted is not None:
        model.fc8 = nn.Linear(model.fc, wanted)
        model.num_classes = wanted
        initialise(model.fc8, choice.seed)
        line += f", random fc8 (seed {choice.seed})"
    if path.parent == _FOLDER:
        if not raw.metadata.get("description"):
            line = f"{choice.model}: trained on procedural clips, {model.num_classes} classes"
        source = f"{path.name}, shipped with c3d_viz"
    spec = dataclasses.replace(
        spec,
        weights=line,
        source=source,
        num_classes=model.num_classes,
        pool5=model.pool5_form,
    )
    return model, spec
