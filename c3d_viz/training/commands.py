"""``python -m c3d_viz.training``: the commands of docs/training.md."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..arguments import MAX_SEED
from ..errors import VizError, printable

if TYPE_CHECKING:
    from .loop import Settings


def _line(done: int, total: int, what: str) -> None:
    print(printable(f"{100 * done / total:5.1f} %  {what}"), flush=True)


def _settings(args: argparse.Namespace, default: Settings) -> Settings:
    from ..engine import settled

    precision, note = settled("float32" if args.float32 else "bf16")
    if note is not None:
        print(note, flush=True)
    changes: dict[str, object] = {"seed": args.seed, "bf16": precision == "bf16"}
    batch = getattr(args, "batch", None) or default.batch
    if args.minutes is not None:
        changes["minutes"] = args.minutes
    if args.clips is not None:
        changes["steps"] = max(1, -(-args.clips // batch))
    if getattr(args, "lr", None) is not None:
        changes["lr"] = args.lr
    return dataclasses.replace(default, batch=batch, **changes)  # type: ignore[arg-type]


def _stills(args: argparse.Namespace) -> None:
    from .phases import STILLS, train_stills

    train_stills(args.sources, args.out, _settings(args, STILLS), _line)


def _joint(args: argparse.Namespace) -> None:
    from .phases import JOINT, train_joint

    what, how = JOINT.head_weights
    settings = dataclasses.replace(
        _settings(args, JOINT), head_weights=(what, args.how_weight or how)
    )
    start_from, warm = args.flat or args.joint, args.joint is not None
    train_joint(
        args.sources, start_from, args.out, args.depth, settings, _line,
        warm=warm, pictures=args.stills,
    )  # fmt: skip


def _pack(args: argparse.Namespace) -> None:
    from .pack import pack
    from .phases import joint_net

    path = pack(*joint_net(args.run), args.out)
    print(printable(f"{path}: {path.stat().st_size:,} bytes"))


def _evaluate(args: argparse.Namespace) -> None:
    from .evaluate import PLAIN_SETS, TEST_SETS, evaluate_files, table

    tests = TEST_SETS + PLAIN_SETS if args.plain else TEST_SETS
    progress = None if args.quiet else _line
    print(table(evaluate_files(args.models, args.sources, args.out, tests, progress)))


def _curve(args: argparse.Namespace) -> None:
    from .curve import draw

    print(draw(args.runs, args.out))


def _depths(args: argparse.Namespace) -> None:
    from .depths import Plan, run

    plan = Plan()
    chosen = {name: getattr(args, name) for name in ("clips", "epochs", "seeds")}
    given = {name: value for name, value in chosen.items() if value is not None}
    run(args.sources, args.out, dataclasses.replace(plan, **given), _line)
    print(printable(f"{args.out / 'depths.png'}, depths.md, depths.json"))


def _videos(args: argparse.Namespace) -> None:
    from ..weights import NetworkChoice
    from .loop import Settings
    from .videos import train_videos

    init = None if args.init == "scratch" else NetworkChoice(args.init, args.weights).load_c3d()
    settings = _settings(args, Settings(minutes=60, batch=16, lr=3e-4))
    path, _ = train_videos(args.folder, args.out, settings, init=init, progress=_line)
    for why in (args.out / "bad-files.txt").read_text().splitlines():
        print(printable(f"left out: {why}"), file=sys.stderr)
    print(printable(f"{path}: look inside with --model c3d --weights {path}"))


def _sprites(args: argparse.Namespace) -> None:
    from .sprites import prepare

    for line in prepare(args.packages, args.out):
        print(printable(line), flush=True)


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """The parser of an option that takes a number; it names what was given and what is allowed."""

    def read(text: str) -> float:
        try:
            value = kind(text.encode("ascii"))  # of a str they take digits of any script
        except ValueError:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r:.80} is no {what}") from None
        if not low <= value <= high:  # as NaN is not
            raise argparse.ArgumentTypeError(f"must be {low:,} to {high:,}, got {text:.80}")
        return value

    return read


_COUNT = _number(int, 1, 10**12)
_MINUTES = _number(float, 0, 10**6)
_SEED = _number(int, 0, MAX_SEED)
_LR = _number(float, 1e-9, 10)


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as every command does."""

    def error(self, message: str) -> NoReturn:
        raise VizError(f"{message}; {self.prog} --help lists what there is")


def parser() -> argparse.ArgumentParser:
    """The commands and their options; ``parse_args`` raises VizError."""
    parser = _Parser(prog="c3d-viz train", description="Train a C3D; docs/training.md")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pictures = "folder with sprites/ and backgrounds/"

    def command(
        name: str, function: Callable[[argparse.Namespace], None], about: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(function=function)
        return sub

    def run(sub: argparse.ArgumentParser, minutes: str) -> None:
        sub.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
        length = sub.add_mutually_exclusive_group()
        length.add_argument("--minutes", type=_MINUTES, help=f"length of the run ({minutes})")
        length.add_argument("--clips", type=_COUNT, help="length of the run in clips or pictures")
        sub.add_argument("--seed", type=_SEED, default=0)
        sub.add_argument("--float32", action="store_true", help="no bfloat16 anywhere")

    sub = command("sprites", _sprites, "make sprites/ and backgrounds/ from Debian packages")
    sub.add_argument("packages", type=Path, help="folder the .deb files were unpacked into")
    sub.add_argument("out", type=Path, help="folder to fill")

    sub = command("stills", _stills, "phase 1: what, on single pictures, with the flat net")
    sub.add_argument("sources", type=Path, help=pictures)
    run(sub, "26")

    sub = command("joint", _joint, "phase 2: what and how, on clips, from the inflated flat net")
    sub.add_argument("sources", type=Path, help=pictures)
    begin = sub.add_mutually_exclusive_group(required=True)
    begin.add_argument("--flat", type=Path, help="start from the stills run in this folder")
    begin.add_argument(
        "--joint", type=Path, help="go on from this joint run at full clutter, with a new schedule"
    )
    sub.add_argument(
        "--depth", type=_number(int, 1, 3), default=3, choices=(1, 3), help="1 is the 2D twin"
    )
    sub.add_argument(
        "--stills", type=_number(int, 0, 4096), default=0, metavar="N",
        help="N single pictures beside the 24 clips of every step, for what alone (0)",
    )  # fmt: skip
    sub.add_argument(
        "--how-weight",
        type=_number(float, 0, 1000),
        metavar="W",
        help="weight of how's loss (1.0; what's is 1.5)",
    )
    sub.add_argument("--lr", type=_LR, help="peak of the learning rate (0.0015)")
    run(sub, "31")

    sub = command("pack", _pack, "fold a joint run's averaged net into a file for load_model")
    sub.add_argument("run", type=Path, help="folder of the joint run")
    sub.add_argument("-o", "--out", type=Path, help="file; default: the package's own weights")

    sub = command("evaluate", _evaluate, "accuracy of the shipped networks: the card's tables")
    sub.add_argument("sources", type=Path, help=pictures)
    sub.add_argument(
        "-o", "--out", type=Path, default=Path("runs/evaluation.json"),
        help="all figures as JSON; what it has for the same weights is not measured again",
    )  # fmt: skip
    sub.add_argument("--models", nargs="+", default=["compact", "compact-2d"], metavar="NAME")
    sub.add_argument("--plain", action="store_true", help="two more sets, without clutter")
    sub.add_argument("--quiet", action="store_true", help="no progress")

    sub = command("curve", _curve, "draw the learning curves of runs")
    sub.add_argument("runs", type=Path, nargs="+", help="log.jsonl files or folders of runs")
    sub.add_argument("-o", "--out", type=Path, required=True, help="picture (.png)")

    sub = command("depths", _depths, "the paper's study of temporal kernel depths, small")
    sub.add_argument("sources", type=Path, help=pictures)
    sub.add_argument("-o", "--out", type=Path, required=True, help="folder of the study")
    sub.add_argument(  # bounds as of depths.plan
        "--clips", type=_number(int, 12, 120_000), help="training clips, a multiple of 12 (3000)"
    )
    sub.add_argument("--epochs", type=_number(int, 1, 1000), help="how often each is seen (4)")
    sub.add_argument("--seeds", type=_number(int, 1, 1000), help="networks of each depth (2)")

    sub = command("videos", _videos, "train or fine-tune on your own videos, a folder per class")
    sub.add_argument("folder", type=Path, help="FOLDER/<class>/*.avi, as UCF101")
    run(sub, "60")
    sub.add_argument("--init", default="compact", help="compact, compact-2d, c3d or scratch")
    sub.add_argument("--weights", type=Path, help="checkpoint for --init c3d")
    sub.add_argument("--batch", type=_number(int, 1, 4096), default=16)
    sub.add_argument("--lr", type=_LR, help="peak of the learning rate (0.0003)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 2 with one line of error. An interrupted run can be resumed."""
    from .memory import keep_buffers

    keep_buffers()
    try:
        args = parser().parse_args(argv)
        args.function(args)
    except VizError as error:
        print(f"c3d-viz: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a right, or a disk
        what = f"{error.filename}: {error.strerror}" if error.filename else f"{error}"
        print(printable(f"c3d-viz: {what}; name what may be read and written"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0
