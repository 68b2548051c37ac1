"""Run the benchmarks and write benchmarks/results.json, the plots and the table in docs.

    python -m benchmarks                      everything (about twenty minutes on two cores)
    python -m benchmarks --only memory help   some parts; the others keep their stored figures
    python -m benchmarks --device cuda        the comparisons on an accelerator

Parts: compare quick tracing help memory export networks curves soak. ``soak`` (1,000 exports) takes
long and runs only when it is named.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from . import (
    check,
    compare,
    curves,
    exporting,
    machine,
    memory,
    networks,
    overhead,
    peers,
    soak,
    table,
)
from .work import Work, full_size

PARTS = ("compare", "quick", "tracing", "help", "memory", "export", "networks", "curves", "soak")
MEMORY = {  # whose memory is measured for each work, beside ours
    "all_conv": ("captum", "plain PyTorch loop"),
    "conv3b": ("captum",),
    "conv5b": ("captum",),
}
ON_CPU = {"quick", "help", "memory", "export", "networks", "soak"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="of every comparison")
    parser.add_argument(
        "--quick", action="store_true", help="every path once; not written to the stored run"
    )
    parser.add_argument("--results", type=Path, default=table.RESULTS)
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds = options.rounds or 1
        if options.results == table.RESULTS:
            options.results = table.RESULTS.parents[1] / "build" / "bench-quick.json"
            options.results.parent.mkdir(exist_ok=True)
    torch.set_num_threads(options.threads)
    wanted = set(options.only)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("this PyTorch finds no CUDA device")
        wanted -= ON_CPU
        if options.results == table.RESULTS:
            options.results = table.RESULTS.with_name("results-cuda.json")

    began = time.perf_counter()
    results = json.loads(options.results.read_text()) if options.results.exists() else {}

    def save() -> None:  # after each part: a run that is stopped keeps what it has
        results["minutes"] = results.get("minutes", 0.0)
        if set(PARTS[:-1]) <= wanted:
            results["minutes"] = (time.perf_counter() - began) / 60
        options.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")

    synchronise = torch.cuda.synchronize if options.device == "cuda" else lambda: None
    results["machine"] = machine.describe(options.device, options.threads)
    say("limits of the machine")
    results["limits"] = machine.limits(options.device)
    if wanted & {"compare", "tracing", "curves"}:
        work = full_size(device=options.device)
        results["clip"] = work.clip
        found, missing = peers.available()
        if "compare" in wanted:
            _compare(results, work, found, missing, synchronise, options.rounds)
            save()
        if "tracing" in wanted:
            say("tracing")
            results["tracing"] = overhead.tracing(work, options.rounds or 9, synchronise)
            save()
        if "curves" in wanted:
            say("curves")
            results["curves"] = curves.measure(work, found.get("captum"), synchronise)
            curves.plot(
                results["curves"], options.results.parent if options.quick else curves.IMAGES
            )
            save()
        del work
    rounds, threads = options.rounds, options.threads
    of_one_process: dict[str, tuple[str, Callable[[], object]]] = {
        "quick": ("quick ratios, for benchmarks.check", lambda: check.quick(threads, rounds or 5)),
        "help": ("c3d-viz --help", lambda: overhead.help_time(rounds or 9)),
        "memory": ("memory", lambda: [
            memory.measure(["c3d_viz", *MEMORY[name]], name, rounds or 2, threads)
            for name in memory.WORKS
        ]),
        "export": ("export --layer all", lambda: [
            machine.alone("exporting", name, threads=threads) for name in exporting.LIMITS_MB
        ]),
        "networks": ("networks that are no chains", lambda: networks.measure(threads, rounds or 3)),
        "soak": ("1,000 exports", lambda: soak.soak(1000, 1200, threads)),
    }  # fmt: skip
    for part, (title, measure) in of_one_process.items():
        if part in wanted:
            say(title)
            results[part] = measure()
            save()
    save()
    say(f"written: {options.results.name}, after {(time.perf_counter() - began) / 60:.1f} minutes")
    if options.results == table.RESULTS and table.PAGE.exists():
        table.write()
    return 0


def _compare(
    results: dict[str, Any],
    work: Work,
    found: dict[str, peers.Peer],
    missing: dict[str, str],
    synchronise: Callable[[], None],
    rounds: int | None,
) -> None:
    say("agreement of " + ", ".join(found))
    results["missing"] = missing
    results["agreement"], flop = compare.agreement(work, found)
    results["agreement"]["names"] = {key: f"{key} ({peer.name})" for key, peer in found.items()}
    answer = peers.grad_cam_guided(work.model, work.x, work.units["conv3b"][0])
    results["missing"]["pytorch-grad-cam, guided"] = answer
    results["comparisons"] = {}
    for what in compare.comparisons(work):
        say(what.title)
        results["comparisons"][what.key] = compare.compare(
            work, what, found, results["limits"], flop, synchronise, rounds=rounds
        )


def say(what: str) -> None:
    print(time.strftime("%H:%M:%S"), what, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
