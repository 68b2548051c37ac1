"""``python -m c3d_viz.training``: the commands of docs/training.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import VizError


def _line(done: int, total: int, what: str) -> None:
    print(f"{100 * done / total:5.1f} %  {what}", flush=True)


def _settings(args: argparse.Namespace, **fixed: object) -> object:
    from .loop import Settings

    length = {"steps": args.steps} if args.steps else {"minutes": args.minutes}
    return Settings(**length, bf16=args.bf16, seed=args.seed, **fixed)  # type: ignore[arg-type]


def _stills(args: argparse.Namespace) -> None:
    from .phases import train_stills

    settings = _settings(args, batch=64, lr=2e-3, clip=2.0, ema=0.998)
    train_stills(args.sources, args.out, settings, _line)  # type: ignore[arg-type]


def _joint(args: argparse.Namespace) -> None:
    from .phases import train_joint

    settings = _settings(args, batch=24, lr=1.5e-3, head_weights=(1.5, 1.0), ema=0.995)
    train_joint(args.sources, args.flat, args.out, args.depth, settings, _line)  # type: ignore[arg-type]


def _ship(args: argparse.Namespace) -> None:
    from .phases import joint_net
    from .ship import ship

    name = "compact" if args.depth == 3 else "compact-2d"
    ship(joint_net(args.run / "checkpoint.pt", args.depth), args.out, name, args.description)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


def _evaluate(args: argparse.Namespace) -> None:
    import json

    from ..weights import load_model
    from .evaluate import evaluate, table

    models = {name: load_model(name)[0] for name in ("compact", "compact-2d")}
    result = evaluate(dict(models), args.sources, progress=_line if args.verbose else None)
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def _videos(args: argparse.Namespace) -> None:
    from ..weights import load_model
    from .videos import train_videos

    init = None if args.init == "scratch" else load_model(args.init, weights=args.weights)
    settings = _settings(args, batch=args.batch, lr=args.lr)
    path, videos = train_videos(args.folder, args.out, settings, init=init, progress=_line)  # type: ignore[arg-type]
    for _, why in videos.bad:
        print(f"left out: {why}", file=sys.stderr)
    print(f"{path}: look inside with --model c3d --weights {path}")


def _sprites(args: argparse.Namespace) -> None:
    from .sprites import prepare

    for line in prepare(args.packages, args.out):
        print(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m c3d_viz.training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(function=function)
        return sub

    for name, function, about in (
        ("stills", _stills, "phase 1: what, on single pictures, with the flat net"),
        ("joint", _joint, "phase 2: what and how, on clips, from the inflated flat net"),
        ("videos", _videos, "train or fine-tune on your own videos, one folder per class"),
    ):
        sub = command(name, function, about)
        if name == "videos":
            sub.add_argument("folder", type=Path, help="FOLDER/<class>/*.avi, as UCF101")
            sub.add_argument("--init", default="compact", help="compact, compact-2d, c3d, scratch")
            sub.add_argument("--weights", type=Path, help="checkpoint for --init c3d")
            sub.add_argument("--batch", type=int, default=16)
            sub.add_argument("--lr", type=float, default=3e-4, help="peak of the learning rate")
        else:
            sub.add_argument("sources", type=Path, help="folder with sprites/ and backgrounds/")
        sub.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
        sub.add_argument("--minutes", type=float, default=40.0, help="length of the whole run")
        sub.add_argument("--steps", type=int, help="length in steps, instead of minutes")
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--bf16", action="store_true", help="conv1-conv4 in bfloat16")
        if name == "joint":
            sub.add_argument("--flat", type=Path, required=True, help="checkpoint of phase 1")
            sub.add_argument("--depth", type=int, default=3, help="3, or 1 for the 2D twin")
    sub = command("sprites", _sprites, "make sprites/ and backgrounds/ from Debian packages")
    sub.add_argument("packages", type=Path, help="folder the .deb files were unpacked into")
    sub.add_argument("out", type=Path, help="folder to fill")
    sub = command("ship", _ship, "write a run's averaged net as safetensors for load_model")
    sub.add_argument("run", type=Path, help="folder of a joint run")
    sub.add_argument("-o", "--out", type=Path, required=True, help="file.safetensors")
    sub.add_argument("--depth", type=int, default=3, help="3, or 1 for the 2D twin")
    sub.add_argument("--description", required=True, help="one line shown beside every picture")
    sub = command(
        "evaluate", _evaluate, "accuracy of the shipped networks; prints the card's tables"
    )
    sub.add_argument("sources", type=Path, help="folder with sprites/ and backgrounds/")
    sub.add_argument("-o", "--out", type=Path, help="also write all figures as JSON")
    sub.add_argument("--verbose", action="store_true", help="show progress")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0, or 2 with one line of error."""
    args = _parser().parse_args(argv)
    try:
        args.function(args)
    except VizError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
