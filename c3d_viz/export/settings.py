"""What an export is asked for, checked, and by what a stopped one is recognised again."""

from __future__ import annotations

import hashlib
import os
import reprlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any, cast, get_args

from torch import nn

from .. import __version__
from ..engine import device_named
from ..errors import ExportError, LayerError, VizError
from ..methods import METHODS, Given, Reduce, Settings, read_settings, settings_of
from ..nets import CONV_LAYERS, LAYERS, ModelSpec, fingerprint
from ..weights import NetworkChoice

SCHEMA = 1
_VERSIONS = ("torch", "numpy", "opencv-python", "opencv-python-headless", "av", "safetensors")
_BRIEF = reprlib.Repr()  # a manifest may hold anything
_BRIEF.maxstring = _BRIEF.maxother = 80
# Of the network what it led to is compared, not its spelling: paths may differ between two runs.
_COMPARED_OF_NETWORK = ("model", "seed", "fc6_order")


@dataclass(frozen=True)
class ExportSettings:
    """Every choice of an export; what each means stands at ``export_clip``.

    ``of`` takes the spellings that ``export_clip`` takes. ``tuned`` has the methods' settings that
    are not at their default, as ``METHOD.NAME=VALUE``. ``facts`` is the path of a facts.json.
    """

    network: NetworkChoice = field(default_factory=NetworkChoice)
    layers: tuple[str, ...] = LAYERS
    methods: tuple[str, ...] = ("deconvnet",)
    top: int = 4
    channel: tuple[int, ...] | None = None
    at: tuple[int, ...] | Reduce | None = None
    start: int | None = None
    stride: int | None = None
    windows: int = 1
    mode: str = "magnitude"
    scale: str = "clip"
    device: str = "cpu"
    precision: str = "float32"
    tuned: tuple[str, ...] = ()
    facts: str | None = None

    @classmethod
    def of(
        cls,
        network: NetworkChoice,
        layers: str | Sequence[str],
        methods: str | Sequence[str],
        channel: int | Sequence[int] | None,
        at: Sequence[int] | str | None,
        *,
        of_c3d: bool = True,
        settings: Mapping[str, Given] | None = None,
        **more: Any,
    ) -> ExportSettings:
        """Settings with nothing twice, a C3D's layers by name and in order; ``check_settings``.

        Args:
            of_c3d: the layers are C3D's; those of other networks stay as they are named.
            settings: of the methods, by method and name.

        Raises:
            VizError: a setting does not exist or does not fit.
        """
        if channel is not None:
            channel = (channel,) if isinstance(channel, int) else tuple(dict.fromkeys(channel))
        names = (layers,) if isinstance(layers, str) else layers
        chosen = {m: settings_of(m, given) for m, given in (settings or {}).items()}
        return cls(
            network,
            named_layers(layers) if of_c3d else tuple(dict.fromkeys(names)),
            (methods,) if isinstance(methods, str) else tuple(dict.fromkeys(methods)),
            channel=channel,
            at=cast(Any, at) if at is None or isinstance(at, str) else tuple(at),
            tuned=tuple(word for m, s in chosen.items() if s is not None for word in s.words(m)),
            **more,
        )

    def of_methods(self) -> dict[str, Settings]:
        """Every value of the settings of those methods that have any."""
        return read_settings(self.tuned, self.methods)

    def to_json(self) -> dict[str, object]:
        """Plain values by name, those of the network among them; tuples as lists."""
        left_out = {"network", "tuned", *(("facts",) if self.facts is None else ())}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        settings = {method: values.to_json() for method, values in self.of_methods().items()}
        return {**self.network.to_json(), **plain, **({"settings": settings} if settings else {})}

    def command(self, clip: str | Sequence[str], out: str) -> str:
        """The command line that makes this export again."""
        words = ["c3d-viz", "export", *((clip,) if isinstance(clip, str) else clip), "-o", out]
        layers = ("all",) if self.layers == LAYERS else self.layers
        several = {"layer": layers, "method": self.methods, "channel": self.channel or ()}
        for name, values in several.items():
            for value in values:
                words += [f"--{name}", str(value)]
        if self.channel is None:
            words += ["--top", str(self.top)]
        if self.at:
            words += ["--at", self.at if isinstance(self.at, str) else ",".join(map(str, self.at))]
        if self.start is not None:
            words += ["--start", str(self.start)]
        if self.stride is not None:
            words += ["--stride", str(self.stride)]
        words += self.network.options()
        for name in ("windows", "mode", "scale", "device", "precision"):
            value = getattr(self, name)
            if value != getattr(ExportSettings, name):
                words += [f"--{name}", str(value)]
        for word in self.tuned:
            words += ["--set", word]
        if self.facts is not None:
            words += ["--facts", self.facts]
        return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """The word as a shell takes it; what cannot be printed by its bytes, as bash and zsh do."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(c if c.isalnum() else _bytes(c) for c in word) + "'"


def _bytes(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(text))


def check_settings(settings: ExportSettings) -> None:
    """Refuse what no clip and no model could make right.

    Raises:
        VizError: an unknown method, mode, scale or device, or a number out of range.
    """
    for method in settings.methods:
        if method not in METHODS:
            raise VizError(f"no method {method!r}; choose from {', '.join(METHODS)}")
    settings.of_methods()
    choices = {
        "mode": ("magnitude", "signed"),
        "scale": ("clip", "frame"),
        "precision": ("float32", "bf16"),
    }
    for name, allowed in choices.items():
        value = getattr(settings, name)
        if value not in allowed:
            raise VizError(f"no {name} {value!r}; choose from {', '.join(allowed)}")
    for method in settings.methods if settings.precision != "float32" else ():
        if METHODS[method].rule is None:
            raise VizError(f"{method} has no {settings.precision} preview; leave --precision out")
    for name in ("top", "stride", "windows"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise VizError(f"{name} must be at least 1, got {value}")
    if settings.start is not None and settings.start < 0:
        raise VizError(f"start must be 0 or more, got {settings.start}; frames count from 0")
    if isinstance(settings.at, str) and settings.at not in get_args(Reduce):
        raise VizError(f"at is a position (t, h, w), mean or sum, got {settings.at!r}")
    if settings.at is not None and settings.channel is None:
        raise VizError("at needs channel: say which channel's position is meant")
    if not settings.layers or not settings.methods:
        raise VizError("nothing to do: give at least one layer and one method")
    device_named(settings.device)


def named_layers(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Layers in the network's order; ``all`` is every layer, ``conv`` the eight convolutions.

    Raises:
        LayerError: an unknown name.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    found: set[str] = set()
    for name in names:
        if name == "all":
            found.update(LAYERS)
        elif name == "conv":
            found.update(CONV_LAYERS)
        elif name in LAYERS:
            found.add(name)
        else:
            raise LayerError(f"no layer {name!r}; choose from all, conv, {', '.join(LAYERS)}")
    return tuple(name for name in LAYERS if name in found)


def weights_sha256(model: nn.Module, spec: ModelSpec) -> str:
    """SHA-256 of the checkpoint file; of a random network, its fingerprint."""
    return fingerprint(model) if spec.sha256 is None else spec.sha256


def describe_model(model: nn.Module, spec: ModelSpec) -> dict[str, object]:
    """The manifest's account of the network and of what it expects."""
    volume = spec.input.mean_volume
    return {
        "name": spec.name,
        "weights": spec.weights,
        "trained": spec.trained,
        **({} if spec.code_sha256 is None else {"code_sha256": spec.code_sha256}),
        "weights_sha256": weights_sha256(model, spec),
        "source": spec.source,
        "format": spec.format,
        "pool5": spec.pool5,
        "num_classes": spec.num_classes,
        "classes_sha256": None
        if spec.classes is None
        else hashlib.sha256("\n".join(spec.classes).encode()).hexdigest(),
        "input": {
            "channel_order": spec.input.channel_order,
            "mean": list(spec.input.mean),
            "mean_volume_sha256": None
            if volume is None
            else hashlib.sha256(volume.tobytes()).hexdigest(),
            "scale": spec.input.scale,
            "resize": spec.input.resize
            if isinstance(spec.input.resize, int)
            else list(spec.input.resize),
            "crop": list(spec.input.crop),
            "frames": spec.input.frames,
            **({} if spec.input.std is None else {"std": list(spec.input.std)}),
            **({} if spec.input.layout == "CTHW" else {"layout": spec.input.layout}),
        },
    }


def versions() -> dict[str, str]:
    """Installed versions of what the numbers and pictures depend on."""
    found = {"c3d-viz": __version__}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def check_same(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with an export of another clip, network, or other settings.

    Args:
        before, now: manifests, of which clip, model, parameters and the schema are compared.

    Raises:
        ExportError: names the first difference and what to do.
    """

    left_out = {"facts", *(f.name for f in fields(NetworkChoice))} - {*_COMPARED_OF_NETWORK}

    def facts(manifest: dict[str, Any]) -> dict[str, Any]:
        parameters = cast(dict[str, Any], manifest.get("parameters") or {})
        model = cast(dict[str, Any], manifest.get("model") or {})
        return {
            "schema": manifest.get("schema"),
            "clip's SHA-256": (manifest.get("clip") or {}).get("sha256"),
            "weights' SHA-256": model.get("weights_sha256"),
            "network's code": model.get("code_sha256"),
            "input": model.get("input"),
            "pool5": model.get("pool5"),
            "class names' SHA-256": model.get("classes_sha256"),
            "set of facts": manifest.get("trust") or {},
            **{k: v for k, v in parameters.items() if k not in left_out},
            "c3d-viz": (manifest.get("versions") or {}).get("c3d-viz"),
            "torch": (manifest.get("versions") or {}).get("torch"),
        }

    old, new = facts(before), facts(now)
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            raise ExportError(
                f"{out} holds an export with another {name} ({_BRIEF.repr(old.get(name))} there, "
                f"{_BRIEF.repr(new.get(name))} now); use the same, or --overwrite, or another "
                f"folder"
            )
