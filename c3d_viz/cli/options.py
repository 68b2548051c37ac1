"""Options that several commands share. Parsing only: nothing heavy is imported here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import VizError

Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.")]
ClipArgument = Annotated[
    Path, typer.Argument(metavar="CLIP", help="Video file or folder of frames.")
]
ModelName = Annotated[
    str, typer.Option("--model", metavar="NAME", help="compact, compact-2d or c3d.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="PATH",
        help="Checkpoint of any known format; default: what is shipped; 'random': untrained.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of all that is random.")]


def _override(name: str, metavar: str, what: str) -> Any:
    return Annotated[str | None, typer.Option(name, metavar=metavar, help=what)]


# What a checkpoint says of itself and a user may know better; names as in ``load_model``.
_OVERRIDES = {
    "channel_order": _override("--channel-order", "ORDER", "RGB or BGR, against the checkpoint's."),
    "mean": _override("--mean", "FILE", "Mean volume (.npy, .binaryproto) or three numbers A,B,C."),
    "resize": _override("--resize", "H,W", "Frames become so large, or their short side H."),
    "pool5": _override("--pool5", "FORM", "ceil or padded, against the checkpoint's."),
    "fc6_order": _override("--fc6-order", "ORDER", "chw or hwc: how fc6 reads pool5."),
    "classes": _override("--classes", "FILE", "Names of the classes, one a line."),
}


@dataclass(frozen=True)
class Network:
    """The network a command is to use; ``overrides`` are keyword arguments of ``load_model``."""

    model: str = "compact"
    weights: str | None = None
    seed: int = 0
    overrides: dict[str, Any] = field(default_factory=dict)


def network_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes ``network`` be called with the options that describe one.

    Typer reads a function's signature; the one it gets to see has ``--model``, ``--weights``,
    ``--seed`` and the overrides in that parameter's place.
    """
    options = {
        "model": (ModelName, "compact"),
        "weights": (Weights, None),
        "seed": (Seed, 0),
        **{name: (kind, None) for name, kind in _OVERRIDES.items()},
    }

    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        command(network=_network(given), **values)

    parameters = []
    for own in inspect.signature(command, eval_str=True).parameters.values():
        if own.name != "network":
            parameters.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for name, (kind, default) in options.items():
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
                )
            )
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, __name__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _network(given: dict[str, Any]) -> Network:
    overrides = {name: given[name] for name in _OVERRIDES if given[name] is not None}
    if "resize" in overrides:
        sides = whole_numbers(overrides["resize"], "--resize", "height,width as in 128,171")
        overrides["resize"] = sides[0] if len(sides) == 1 else sides
    if "mean" in overrides:
        overrides["mean"] = _numbers(overrides["mean"]) or overrides["mean"]
    return Network(given["model"], given["weights"], given["seed"], overrides)


def whole_numbers(text: str, option: str, what: str) -> tuple[int, ...]:
    """``"1,2"`` as (1, 2).

    Raises:
        VizError: something else; says that ``option`` takes ``what``.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise VizError(f"{option} takes {what}, got {text!r}") from None


def _numbers(text: str) -> tuple[float, ...] | None:
    """Three numbers, or None: then it is a file's name."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return values if len(values) == 3 else None
