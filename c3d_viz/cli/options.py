"""Options that several commands share. Parsing only: nothing heavy is imported here."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ClipError, VizError

if TYPE_CHECKING:
    from ..weights import NetworkChoice

    Network = NetworkChoice
else:
    Network = object  # typer evaluates annotations, and torch is not to be loaded for that


DEMO = "demo:/"  # what a demo's clip is called, before its file name


def path_named(name: str | Path) -> Path:
    """The parser of every path: an unset variable of the shell is no name.

    Raises:
        BadParameter: it is empty or blank.
    """
    if not str(name).strip():  # Path("") is the folder the command is run in
        raise typer.BadParameter(f"the name is empty, {name!r}")
    return Path(name)


def clip_named(name: str | Path) -> Path:
    """The parser of every clip: a path, or ``demo:/bikes.mp4`` wherever that package lies.

    Raises:
        BadParameter: it is empty or blank.
        ClipError: the demo's clips are not installed, or none has this name.
    """
    text = str(name)
    if not text.startswith(DEMO) or os.path.lexists(text):
        return path_named(name)
    from ..clips import demo_clips

    found = {DEMO + path.name: path for path, _ in demo_clips()}
    if text not in found:
        raise ClipError(f"no demo clip {text!r}; choose from {', '.join(found)}")
    return found[text]


def some_there(paths: list[Path]) -> None:
    """Look at a command's clips before it imports anything heavy.

    Raises:
        ClipError: none exists.
    """
    if not any(map(os.path.lexists, paths)):
        others = f", nor does any other of the {len(paths)} named" if len(paths) > 1 else ""
        raise ClipError(
            f"{paths[0]} does not exist{others}; give a video file or a folder of frames"
        )


def whole(name: str, **more: Any) -> Any:
    """An option that takes a whole number, in digits of ASCII: int() takes those of any script."""
    return typer.Option(name, parser=_whole, **more)


def real(name: str, **more: Any) -> Any:
    """An option that takes a number, as ``whole``."""
    return typer.Option(name, parser=_real, **more)


def _whole(text: str | int) -> int:
    try:
        return _integer(str(text))
    except ValueError:
        raise typer.BadParameter(f"{str(text)!r:.80} is no whole number of 64 bits") from None


def _real(text: str | float) -> float:
    try:
        return float(_ascii(str(text)))
    except ValueError:
        raise typer.BadParameter(f"{str(text)!r} is no number") from None


Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", parser=path_named, help="Folder to write to."),
]
ClipArgument = Annotated[
    Path,
    typer.Argument(metavar="CLIP", parser=clip_named, help="Video file or folder of frames."),
]
ClipArguments = Annotated[
    list[Path],
    typer.Argument(
        metavar="CLIPS...",
        parser=clip_named,
        help="Videos, frame folders, or folders of either.",
    ),
]


Facts = Annotated[
    Path | None,
    typer.Option(
        "--facts",
        metavar="FILE",
        parser=path_named,
        help="facts.json of c3d-viz check on this network: said beside its maps.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with one that was stopped.")]
SKIPPED = 3  # status where some clips were left out


def _option(kind: Any, name: str, metavar: str, what: str) -> Any:
    numbers = {int: whole, int | None: whole, float | None: real}
    return Annotated[kind, numbers.get(kind, typer.Option)(name, metavar=metavar, help=what)]


# One for each field of ``NetworkChoice``, in its order: (kind, default).
NETWORK_OPTIONS = {
    "model": (
        _option(
            str,
            "--model",
            "NAME",
            "compact, compact-2d, c3d; r3d_18, mc3_18, r2plus1d_18, s3d (torchvision's); or "
            "FILE.py:FUNCTION, package.module:FUNCTION (runs it).",
        ),
        "compact",
    ),
    "weights": (
        _option(
            str | None,
            "--weights",
            "PATH",
            "Checkpoint of any known format; left out: what is shipped; 'random': untrained; "
            "'default': torchvision's of Kinetics-400.",
        ),
        None,
    ),
    "seed": (_option(int, "--seed", "N", "Seed of all that is random, 0 to 2147483647."), 0),
    "num_classes": (
        _option(int | None, "--num-classes", "N", "Length of fc8, where the weights have none."),
        None,
    ),
    **{
        name: (_option(kind, f"--{name.replace('_', '-')}", metavar, what), None)
        # what a checkpoint says of itself and a user may know better
        for name, kind, metavar, what in (
            ("channel_order", str | None, "ORDER", "RGB or BGR, against the checkpoint's."),
            ("mean", str | None, "FILE", "Mean volume (.npy, .binaryproto) or numbers A,B,C."),
            ("input_scale", float | None, "X", "Factor of the pixels after the mean is taken off."),
            ("resize", str | None, "H,W", "Frames become so large, or their short side H."),
            ("crop", str | None, "H,W", "What is cut from their middle."),
            ("pool5", str | None, "FORM", "ceil or padded, against the checkpoint's."),
            ("classes", str | None, "FILE", "Names of the classes, one a line."),
            ("fc6_order", str | None, "ORDER", "chw or hwc: how fc6 reads pool5."),
            ("std", str | None, "A,B,C", "Standard deviations the pixels are divided by."),
            ("input", str | None, "FILE", "TOML file with what the network takes as input."),
            ("frames", int | None, "N", "So many frames are a clip."),
            ("layout", str | None, "AXES", "CTHW, or TCHW: how the network takes them."),
            ("frame_stride", int | None, "N", "It takes every n-th frame of a video."),
        )
    },
}


def network_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes ``network`` be called with the options that describe one.

    Typer reads a function's signature; the one it gets to see has NETWORK_OPTIONS in that
    parameter's place.
    """

    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in NETWORK_OPTIONS}
        command(network=network_of(given), **values)

    parameters = []
    for own in inspect.signature(command, eval_str=True).parameters.values():
        if own.name != "network":
            parameters.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for name, (kind, default) in NETWORK_OPTIONS.items():
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
                )
            )
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, __name__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def network_of(given: dict[str, Any]) -> Network:
    """The network that the values of ``NETWORK_OPTIONS`` describe.

    Raises:
        VizError: numbers are asked for and words were given, or nothing was.
    """
    from ..arguments import check_seed

    check_seed(given["seed"])
    from ..weights import NetworkChoice

    for name, value in given.items():
        if value == "":
            raise VizError(f"--{name.replace('_', '-')} is empty; leave it out, or give a value")
    numbers: dict[str, Any] = {
        name: whole_numbers(given[name], f"--{name}", "height,width as in 128,171")
        for name in ("resize", "crop")
        if given[name] is not None
    }
    if len(sides := numbers.get("resize", ())) == 1:
        numbers["resize"] = sides[0]
    mean = given["mean"] and _numbers(given["mean"])
    if given["std"] is not None:
        numbers["std"] = _numbers(given["std"])
        if numbers["std"] is None:
            raise VizError(f"--std takes one number a channel as in 58,57,55, got {given['std']!r}")
    return NetworkChoice(**{**given, **numbers, "mean": mean or given["mean"]})


def whole_numbers(text: str, option: str, what: str) -> tuple[int, ...]:
    """``"1,2"`` as (1, 2).

    Raises:
        VizError: something else; says that ``option`` takes ``what``.
    """
    try:
        return tuple(map(_integer, text.split(",")))
    except ValueError:
        raise VizError(f"{option} takes {what} (64-bit whole numbers), got {text!r}") from None


def by_option(said: str, words: Iterable[str], options: Collection[str] = ()) -> str:
    """An error about a parameter, in the words of the shell: by the option that gave it.

    Args:
        said: the error, as in "top must be at least 1, got 0".
        words: the command line, whose options come first.
        options: all that the command has; a parameter that is none of them is left as it is.
    """
    said = re.sub(r"\bpass (\w+)=\((\d+), (\d+)\)", r"give --\1 \2,\3", said)
    said = re.sub(r"\bleave num_classes out", "leave --num-classes out", said)
    name, space, rest = said.partition(" ")
    given = {word.partition("=")[0] for word in words}
    prefixes = ("", "input-", "frame-")  # --input-scale is the scale of the input
    names = [f"--{prefix}{name.replace('_', '-')}" for prefix in prefixes]
    for option in [*(n for n in names if n in given), *(n for n in names if n in options)]:
        if rest.startswith(("must be", "is a", "needs")):
            return f"{option}{space}{rest}"
    return said


def _integer(text: str) -> int:
    number = int(_ascii(text))
    if abs(number) >= 2**64:
        raise ValueError
    return number


def _ascii(text: str) -> str:
    """The text; int and float would take digits of any script."""
    if not text.isascii():
        raise ValueError
    return text


def _numbers(text: str) -> tuple[float, ...] | None:
    """Three numbers, or one for grey pictures; None: then it is a file's name."""
    try:
        values = tuple(float(part) for part in _ascii(text).split(","))
    except ValueError:
        return None
    return values if len(values) in (1, 3) else None
