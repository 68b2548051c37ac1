"""``features`` in processes beside a bare ``model(batch)`` loop over decoded windows.

    python -m benchmarks.features VIDEOS... [--jobs 2] [--rounds 2] [--most 400] [--held 48]
        [--model compact]

By turns, in one run:

- ``loop``: batches of eight windows that lie ready in memory, PyTorch with as many threads as
  there are processes on the other side;
- ``loops``: the same in as many processes of one thread, which is how ``features`` runs it;
- ``features``: ``write_features`` from the files, everything included;
- ``start``: ``write_features`` of one window a process. ``first start`` has the server too that
  processes are forks of.

Each gives windows a second by the clock and windows for a second of processor time. Before them
stands what a window costs in one thread, by stage (``frames``: from decoding to the network's
input). Where every core is busy, ``features`` must lose what is not the network's, so ``possible``
is the network's part. Say what else the machine did: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from multiprocessing import forkserver
from pathlib import Path

import torch
from torch import nn

from c3d_viz.clips import WindowStream, find_videos, read_clip
from c3d_viz.corpus import FeatureSettings, write_features
from c3d_viz.corpus.descriptors import Describer
from c3d_viz.corpus.workers import Workers
from c3d_viz.engine import one_thread_each
from c3d_viz.files import sha256
from c3d_viz.nets import ModelSpec
from c3d_viz.render import write_image
from c3d_viz.weights import NetworkChoice

from .machine import cpu_seconds

BATCH = 8  # windows
Times = tuple[float, float]  # seconds by the clock, of processor time


def used() -> float:
    """Seconds of processor time so far: of this process, those that have ended, and the server
    that worker processes are forks of, with those of its own that have ended."""
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    own = sum(os.times()[:4])
    return own if server is None else own + cpu_seconds(server)


def timed(work: Callable[[], object]) -> Times:
    clock, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - clock, used() - before


def loop(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    with torch.no_grad():
        for batch in batches:
            model(batch)


class Loop:
    """A network and a batch of noise, in a process of their own."""

    def __init__(self, network: NetworkChoice) -> None:
        self.model, spec = network.load()
        shape = spec.input.shape
        self.batch = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(0))
        loop(self.model, [self.batch])


def some(desk: Loop, batches: int) -> float:
    """Seconds of processor time that it took."""
    before = time.process_time()
    loop(desk.model, [desk.batch] * batches)
    return time.process_time() - before


def stages(
    model: nn.Module, spec: ModelSpec, videos: Sequence[Path], most: int
) -> dict[str, float]:
    """Seconds of processor time a window in one thread, by stage: of a part of each video."""
    spent = dict.fromkeys(("network", "frames", "opening", "SHA-256", "the rest"), 0.0)
    windows, describer = 0, Describer(model, spec, "fc6", spec.input.frames // 2, BATCH)
    each = max(1, most // len(videos))

    def spend(stage: str, began: float, share: float = 1) -> float:
        now = time.process_time()
        spent[stage] += (now - began) * share
        return now

    for video in videos:
        now = time.process_time()
        stream = describer.stream(video)
        share = min(1, each / len(stream.starts))
        now = spend("opening", now, share)
        sha256(video)
        now = spend("SHA-256", now, share)
        ready = list(islice(stream, each))
        now = spend("frames", now)
        batches = list(torch.cat(ready).split(BATCH))
        now = time.process_time()
        loop(model, batches)
        now = spend("network", now)
        for batch in batches:
            describer.listener._rows(batch)
        spend("the rest", now)
        windows += len(ready)
    spent["the rest"] = max(0, spent["the rest"] - spent["network"])
    return {stage: seconds / windows for stage, seconds in spent.items()}


def distinct(videos: Sequence[Path], takes: ModelSpec, most: int) -> Iterator[tuple[Path, int]]:
    """Videos and their windows, until there are so many."""
    for path, _ in find_videos(list(videos)):
        windows = len(WindowStream(path, takes.input, takes.input.frames // 2).starts)
        yield path, windows
        most -= windows
        if most <= 0:
            return


def report(name: str, windows: int, times: Times, against: Times, start: Times = (0, 0)) -> None:
    """A line: windows a second of both kinds, their shares of ``against``, and without a start."""
    rates = [windows / seconds for seconds in times]
    shares = [rate * seconds for rate, seconds in zip(rates, against, strict=True)]
    rest = [s * t / (t - o) for s, t, o in zip(shares, times, start, strict=True)]
    print(
        f"{name:12} {times[0]:7.1f} s {times[1]:7.1f} s {rates[0]:8.2f} {rates[1]:8.2f}"
        + "".join(f" {share:8.1%}" for share in (*shares, *rest)),
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--most", type=int, default=400, help="windows of the corpus, about")
    parser.add_argument("--held", type=int, default=48, help="windows in memory, 2.4 MB each")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--weights", default=None)
    options = parser.parse_args(arguments)
    held = options.held // BATCH * BATCH
    jobs, network = options.jobs, NetworkChoice(options.model, options.weights)
    model, spec = network.load()
    counts = dict(distinct(options.videos, spec, options.most))
    videos, many = list(counts), sum(counts.values())

    def features(paths: Sequence[Path]) -> None:
        settings = FeatureSettings(network, windows=True, batch=BATCH)
        with tempfile.TemporaryDirectory() as folder:
            write_features(paths, Path(folder) / "f.parquet", settings, jobs=jobs)

    print(f"{network.model}: {len(videos)} videos, {many} windows; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name, Workers(Loop, (network,), jobs) as team:
        short = [Path(name, str(job)) for job in range(jobs)]
        for number, folder in enumerate(short):
            folder.mkdir()
            for place, frame in enumerate(read_clip(videos[0]).frames):
                write_image(folder / f"{place:02d}.png", frame + number)
        first = timed(lambda: features(short))
        print(f"first start {first[0]:.1f} s, {first[1]:.1f} s of processor time")
        with one_thread_each:
            spent = stages(model, spec, videos, held)
        costs = ", ".join(f"{stage} {1e3 * seconds:.1f}" for stage, seconds in spent.items())
        print(f"ms of processor time a window in one thread: {costs}")
        possible = spent["network"] / sum(spent.values())
        print(f"possible share where every core is busy: {possible:.1%}")
        torch.set_num_threads(jobs)
        ready = list(islice(WindowStream(videos[0], spec.input, 8), held))
        batches = list(torch.cat(ready * (held // len(ready) + 1))[:held].split(BATCH))
        loop(model, batches)
        loops = [len(batches) // jobs] * jobs

        def apart() -> Times:
            began = time.perf_counter()
            cpu = sum(seconds for _, seconds in team.run(some, loops))
            return time.perf_counter() - began, cpu

        apart()
        rows = list[tuple[Times, ...]]()
        print(
            f"{'':12} {'clock':>9} {'CPU':>9} {'windows a s':>17} {'share':>17}"
            f" {'without start':>17}"
        )
        for _ in range(options.rounds):
            before = timed(lambda: loop(model, batches))
            ours = timed(lambda: features(videos))
            after = timed(lambda: loop(model, batches))
            alone = apart()
            start = timed(lambda: features(short))
            bare = (before[0] + after[0]) / 2 / held, (before[1] + after[1]) / 2 / held
            report("loop", 2 * held, (before[0] + after[0], before[1] + after[1]), bare)
            report("loops", sum(loops) * BATCH, alone, bare)
            report("features", many, ours, bare, start)
            report("start", jobs, start, bare)
            rows.append((bare, ours, start))
    shares = [
        (bare[0] * many / ours[0], bare[0] * many / (ours[0] - start[0]))
        for bare, ours, start in rows
    ]
    whole, steady = (statistics.median(values) for values in zip(*shares, strict=True))
    print(
        f"{network.model}: {whole:.1%} of the bare loop by the clock, {steady:.1%} without the "
        f"start; possible {possible:.1%}; load {os.getloadavg()[0]:.1f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
