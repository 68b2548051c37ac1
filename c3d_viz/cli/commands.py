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
from ..errors import VizError, memory_ended, printable
from ..setup_check import missing_screen_library
from .corpus import atlas, features, map_, search
from .export import export
from .options import (
    Facts,
    Network,
    Out,
    Overwrite,
    Resume,
    by_option,
    network_options,
    path_named,
    whole,
)
from .progress import progress_bar, say
from .tools import finding_app, weights_app
from .trust import check
from .units import units_app

_DEBUG = "C3D_VIZ_DEBUG"


def _of_the_parser(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("typer", "click")


class _Commands(TyperGroup):
    """Errors made for people become one line on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        words = [*ctx._protected_args, *ctx.args]
        try:
            return super().invoke(ctx)
        except VizError as error:
            _fail(by_option(str(error), words, self._options(words)), 2)
        except KeyboardInterrupt:
            hint = " Go on later with --resume." if "export" in sys.argv else ""
            if ctx.invoked_subcommand in ("units", "features", "atlas"):
                hint = " The same command goes on from what was done."
            _fail(f"stopped.{hint}", 130)
        except BrokenPipeError:
            raise
        except Exception as error:
            if (told := memory_ended(error)) is not None:
                _fail(told, 2)
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

    def _options(self, words: Sequence[str]) -> set[str]:
        """Those of the command that the words call."""
        called: Any = self
        for word in words:
            called = getattr(called, "commands", {}).get(word, called)
        return {option for parameter in called.params for option in parameter.opts}


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
app.command()(export)
app.command()(features)
app.command()(atlas)
app.command()(check)
app.command()(search)
app.command("map")(map_)


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
    port: Annotated[int, whole("--port", metavar="N", help="Port to listen on.")] = 8501,
    facts: Facts = None,
    atlas: Annotated[
        Path | None,
        typer.Option(
            "--atlas", metavar="FOLDER", parser=path_named, help="Show an atlas. [a small one]"
        ),
    ] = None,
) -> None:
    """Serve the dashboard on this machine."""
    from .dashboard import serve

    raise typer.Exit(serve(network, host=host, port=port, facts=facts, atlas=atlas))


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
