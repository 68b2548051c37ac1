"""The command line: parsing only. Everything heavy is imported inside the command that needs it.

``c3d-viz --help`` has to answer at once, so neither torch nor OpenCV is imported up here.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import VizError, printable
from ..setup_check import missing_screen_library
from .corpus import atlas, features
from .options import ClipArgument, Network, Out, network_options, whole_numbers
from .progress import progress_bar, say
from .shortfall import frames_taken, less_than_asked
from .tools import finding_app, weights_app
from .units import units_app

_DEBUG = "C3D_VIZ_DEBUG"


def _of_the_parser(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("typer", "click")


class _Commands(TyperGroup):
    """Errors made for people become one line on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VizError as error:
            _fail(str(error), 2)
        except KeyboardInterrupt:
            hint = " Go on later with --resume." if "export" in sys.argv else ""
            _fail(f"stopped.{hint}", 130)
        except BrokenPipeError:
            raise
        except Exception as error:
            library = missing_screen_library(str(error))
            if library is not None and isinstance(error, ImportError):
                _fail(
                    f"OpenCV needs {library}, which this machine lacks; run: "
                    f"{sys.executable} -m c3d_viz.setup_check",
                    2,
                )
            if _of_the_parser(error) or os.environ.get(_DEBUG):
                raise
            name = type(error).__name__
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            text = " ".join(str(error).split()) or "no message"
            _fail(
                f"unexpected {name} in {where}: {text} (a fault of c3d-viz or of a library; "
                f"c3d-viz --debug COMMAND shows the traceback)",
                1,
            )


def _fail(message: str, status: int) -> NoReturn:
    print(f"c3d-viz: {printable(message)}", file=sys.stderr, flush=True)
    raise SystemExit(status)


app = typer.Typer(
    cls=_Commands,
    name="c3d-viz",
    help="See, layer by layer and frame by frame, what C3D sees in a video.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs a tenth of a second
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights_app)
app.add_typer(finding_app)
app.add_typer(units_app)
app.command()(features)
app.command()(atlas)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"c3d-viz {__version__}")
        raise typer.Exit


def _debug(wanted: bool) -> None:
    if wanted:
        os.environ[_DEBUG] = "1"


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_debug, help="Show tracebacks of unexpected errors.")
    ] = False,
) -> None:
    """See, layer by layer and frame by frame, what C3D sees in a video."""


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with one that was stopped.")]


@app.command()
@network_options
def export(
    *,
    clip: ClipArgument,
    out: Out,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="LAYER", help="Repeatable; 'conv' is the eight. [all]"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="deconvnet, guided, gradient, input_x_gradient, integrated_gradients, "
            "smoothgrad, smoothgrad_squared, gradcam, gradcam_time, gradcam_pp, layercam, "
            "guided_gradcam, occlusion or rise ('c3d-viz methods' tells them apart); repeatable. "
            "[deconvnet]",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="K", help="Strongest channels of each layer.")
    ] = 4,
    channel: Annotated[
        list[int] | None,
        typer.Option("--channel", metavar="N", help="This channel, not the strongest; repeatable."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T,H,W", help="The channel's position, not its strongest."),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option(
            "--start",
            metavar="N",
            help="First frame. [0; several windows: all over the video]",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", metavar="N", help="Take every n-th frame. [as the network does]"),
    ] = None,
    windows: Annotated[
        int, typer.Option("--windows", metavar="N", help="So many windows over the whole video.")
    ] = 1,
    network: Network,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="Overlay: magnitude or signed.")
    ] = "magnitude",
    scale: Annotated[
        str, typer.Option("--scale", metavar="SCALE", help="Colour scale per clip or per frame.")
    ] = "clip",
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda or cuda:N.")
    ] = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", metavar="P", help="float32, or bf16: a faster preview.")
    ] = "float32",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="METHOD.NAME=VALUE",
            help="A method's setting, as in gradcam.layer=conv5b; repeatable.",
        ),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    timings: Annotated[bool, typer.Option("--timings", help="Say where the time went.")] = False,
) -> None:
    """Write what every layer sees in a clip, as pictures, videos, arrays."""
    from ..export import export_clip
    from ..files import read_json
    from ..methods import read_settings

    spent: dict[str, float] = {}
    with progress_bar("export") as progress:
        manifest = export_clip(
            clip,
            out,
            network=network,
            layers=layer or "all",
            methods=method or ("deconvnet",),
            settings=read_settings(settings or (), method or ("deconvnet",)),
            top=top,
            channel=channel or None,
            at=None if at is None else whole_numbers(at, "--at", "time,row,column as in 0,3,4"),
            start=start,
            stride=stride,
            windows=windows,
            mode=mode,
            scale=scale,
            device=device,
            precision=precision,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            timings=spent,
        )
    if timings:
        for name, seconds in spent.items():
            say(f"{name:<30}{seconds:9.2f} s", err=True)
    described = read_json(manifest) or {}
    if "model" in described:
        say(f"weights in use: {described['model']['weights']}", err=True)
        say(frames_taken(described), err=True)
        for line in less_than_asked(described):
            say(line, err=True)
    say(f"open {manifest.with_name('index.html')}")


@app.command()
@network_options
def layers(network: Network) -> None:
    """Print every layer: shape, receptive field, parameters."""
    from ..engine import called_layers, groups_of, layer_tree, tree_text
    from ..nets import C3D, layer_table, table_text

    net, spec = network.load()
    if isinstance(net, C3D):
        say(*table_text(layer_table(net), spec).split("\n"))
        return
    shape = spec.input.shape
    with progress_bar("layers") as progress:
        rows = layer_tree(net, shape, progress)
    say(*tree_text(rows, groups_of(net, called_layers(net, shape)), net, spec).split("\n"))


@app.command()
def methods() -> None:
    """Print every method of attribution, what it shows, and its settings."""
    from ..methods import METHODS, described

    for name, method in METHODS.items():
        say(f"{name}: {method.title} ({method.paper})")
        say(f"  {method.sentence}")
        for line in described(method.settings) if method.settings else ():
            say(f"  --set {name}.{line}")


@app.command()
def demo(
    out: Out = Path("demo-out"),
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Export two real clips and say what to open."""
    from .demo import run_demo

    with progress_bar("demo") as progress:
        pages = run_demo(out, overwrite=overwrite, resume=resume, progress=progress)
    say("Open in a browser:")
    for page in pages:
        say(f"  {page}")


@app.command(name="app")
@network_options
def dashboard(
    network: Network,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port to listen on.")] = 8501,
) -> None:
    """Serve the dashboard on this machine."""
    from .dashboard import serve

    raise typer.Exit(serve(network, host=host, port=port))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def train(context: typer.Context) -> None:
    """Train the shipped networks again, or a C3D on your own videos."""
    from ..training import main as run_training

    raise typer.Exit(run_training(list(context.args) or ["--help"]))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``c3d-viz``. Exits 0, 1 (a fault), 2 (what was asked), or 130 (Ctrl-C)."""
    try:
        status = app(
            args=None if argv is None else list(argv), prog_name="c3d-viz", standalone_mode=False
        )
    except Exception as error:
        if not _of_the_parser(error) or not hasattr(error, "format_message"):
            raise
        text = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # the text is the help
            say(*text.split("\n"), err=True)
            raise SystemExit(2) from None
        where = getattr(getattr(error, "ctx", None), "command_path", "c3d-viz")
        text = text[:1].lower() + text[1:].rstrip(".")
        _fail(str(VizError(f"{text} ({where} --help lists what there is)")), 2)
    raise SystemExit(status)
