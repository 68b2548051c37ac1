"""Has a ratio got worse? A short run against the stored one. Not part of the tests.

    python -m benchmarks.check [--tolerance 0.25]

Compares ratios to a plain PyTorch loop that is written here, so that nothing but PyTorch is
needed and a slower machine changes both sides alike; of networks that are no chains, to captum.
Seconds are never compared. Exits with 1 and one line per ratio that fell by more than the
tolerance.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .table import RESULTS

TOLERANCE = 0.25
KEYS = {  # of the quick ratios: layers and units
    "1 unit of conv5b": ("conv5b", 1),
    "3 units of conv5b": ("conv5b", 3),
    "9 units of conv3b": ("conv3b", 9),
    "9 units of conv4b": ("conv4b", 9),
}


def quick(threads: int, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Loop's time over ours, for each of KEYS."""
    import torch

    from .compare import ours
    from .peers import loop
    from .timing import Case, alternate, ratios
    from .work import full_size

    torch.set_num_threads(threads)
    work = full_size()
    found = {}
    for key, (layer, k) in KEYS.items():
        units = work.units[layer][:k]
        cases = {
            "ours": Case(lambda _, u=units: ours(work, u)),
            "loop": Case(lambda _, u=units: loop(work.model, work.x, u)),
        }
        for case in cases.values():
            case.run(0)
        found[key] = vars(ratios(alternate(cases, rounds), "loop", "ours"))
    return found


def worse(
    stored: dict[str, dict[str, float]],
    fresh: dict[str, dict[str, float]],
    tolerance: float,
    against: str = "the plain loop",
) -> list[str]:
    """One line per ratio that fell below (1 - tolerance) of the stored one, or is missing."""
    lines = []
    for key, before in stored.items():
        if key not in fresh:
            lines.append(f"{key}: no longer measured (was {before['median']:.2f}x)")
            continue
        # the best round decides: a burst of other work on the machine is no regression
        now = fresh[key]["high"]
        if now < (1 - tolerance) * before["median"]:
            lines.append(
                f"{key}: {fresh[key]['median']:.2f}x {against} (best round {now:.2f}x), "
                f"was {before['median']:.2f}x"
            )
    return lines


def _networks(stored: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """The same for networks that are no chains, against captum; says so where they are not here."""
    from c3d_viz.errors import WeightsError

    from . import networks

    try:
        fresh = networks.quick(min(options.rounds, 3))
    except WeightsError as error:
        print(f"{', '.join(networks.QUICK)}: not measured ({error})")
        return []
    before = {row["key"]: row["ratio"] for row in stored if row["key"] in networks.QUICK}
    for key, row in fresh.items():
        was = before.get(key, {}).get("median", float("nan"))
        print(f"{key}: {row['median']:.2f}x captum (stored {was:.2f}x)")
    return worse(before, fresh, options.tolerance, "captum")


def main(arguments: list[str] | None = None, results: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    stored: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    if not stored.get("quick"):
        print(f"no stored ratios in {results.name}; run: make bench")
        return 2
    fresh = quick(options.threads, options.rounds)
    for key, row in fresh.items():
        was = stored["quick"].get(key, {}).get("median", float("nan"))
        print(f"{key}: {row['median']:.2f}x the plain loop (stored {was:.2f}x)")
    lines = worse(stored["quick"], fresh, options.tolerance)
    lines += _networks(stored.get("networks", []), options)
    for line in lines:
        print(f"worse: {line}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
