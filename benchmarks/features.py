"""``features`` in processes beside a bare ``model(batch)`` loop over decoded windows.

    python -m benchmarks.features VIDEOS... [--jobs 2] [--rounds 3] [--model compact]

In turn, in one run: a loop over windows that lie ready in memory, batches of eight, PyTorch with
as many threads as there are processes on the other side; and ``write_features`` of the videos from
their files, hashing, decoding, the start of its processes and the table included. Both give
windows a second by the clock and windows a second of processor time; the share is the second over
the first. ``start`` is what a run over one window a process takes: the share without it is what a
long corpus comes near. Say what else the machine did: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from multiprocessing import forkserver
from pathlib import Path

import torch

from c3d_viz.clips import WindowStream, read_clip
from c3d_viz.corpus import FeatureSettings, write_features
from c3d_viz.render import write_image
from c3d_viz.weights import NetworkChoice

from .machine import cpu_seconds

BATCH, HELD = 8, 160  # windows of a batch; windows in memory (2.4 MB each)


def used() -> float:
    """Seconds of processor time so far: of this process, those that have ended, and the server
    that worker processes are forks of, with those of its own that have ended."""
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    own = sum(os.times()[:4])
    return own if server is None else own + cpu_seconds(server)


def timed(work: Callable[[], int]) -> tuple[int, tuple[float, float]]:
    """Windows of which ``work`` says that it did them; seconds by the clock, of processor time."""
    clock, before = time.perf_counter(), used()
    windows = work()
    return windows, (time.perf_counter() - clock, used() - before)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="compact")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.jobs)
    network = NetworkChoice(options.model)
    model, spec = network.load()
    windows: list[torch.Tensor] = []
    for video in options.videos:
        stream = WindowStream(video, spec.input, spec.input.frames // 2)
        windows += islice(stream, HELD - len(windows))
    batches = list(torch.cat(windows).split(BATCH))

    def bare() -> int:
        with torch.no_grad():
            for batch in batches:
                model(batch)
        return len(windows)

    def features(videos: Sequence[Path]) -> int:
        settings = FeatureSettings(network, windows=True, batch=BATCH)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "f.parquet"
            return write_features(videos, out, settings, jobs=options.jobs).rows

    bare()
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        short = [Path(name, str(job)) for job in range(options.jobs)]
        for folder in short:
            folder.mkdir()
            for number, frame in enumerate(read_clip(options.videos[0]).frames):
                write_image(folder / f"{number:02d}.png", frame)
        print(
            f"{len(windows)} windows in memory; load {os.getloadavg()[0]:.1f}; {options.jobs} jobs"
        )
        print("         bare loop         features          share       start")
        for _ in range(options.rounds):
            held, loop = timed(bare)
            many, ours = timed(lambda: features(options.videos))
            _, start = timed(lambda: features(short))
            shares = []
            for kind, a, b, s in zip(("clock", "CPU"), loop, ours, start, strict=True):
                whole, rest = a / held * many / b, a / held * many / (b - s)
                shares += [whole, rest]
                print(
                    f"{kind:6} {held / a:8.2f} /s  {many / b:12.2f} /s {whole:12.1%} {s:9.2f} s"
                    f"   without it {rest:.1%}",
                    flush=True,
                )
            rows.append(shares)
    clock, clock_rest, cpu, cpu_rest = (
        statistics.median(values) for values in zip(*rows, strict=True)
    )
    print(
        f"median share: clock {clock:.1%}, CPU {cpu:.1%}; without the start {clock_rest:.1%}, "
        f"{cpu_rest:.1%}; load {os.getloadavg()[0]:.1f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
