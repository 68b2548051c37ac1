"""How fast the dashboard answers, and what five people at once cost, in a real Chromium.

    python -m benchmarks.bench_app [--browser PATH] [--rounds 3]

Starts a server of its own on a free port. Every figure is wall time from the click (or from the end
of the upload) until the new picture has been decoded and a frame with it was drawn, as the browser
sees it, and beside it the seconds of processor time that the server took for it, which say more on
a busy machine. A window is dragged as a person does: held, and moved on when the page is quiet.
Writes benchmarks/app-results.json and prints the table of docs/dashboard.md. Needs nothing else to
run on the machine meanwhile. What does not come within PATIENCE ends the run and is named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from c3d_viz.cli import command

from . import machine, memory
from .app_page import OVERLAY, PATIENCE, changed, in_menu, named, settle
from .app_people import PEOPLE, crowd, make_clips

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("app-results.json")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
TARGETS = {
    "first page of a new server": None,
    "page opened": 2.0,
    "sample chosen": 2.0,
    "upload ended": 4.0,
    "window dragged a step": 0.5,
    "other layer": 0.5,
    "other feature map": 0.5,
    "other method": 0.5,
    "the same again (cache)": 0.5,
}
MEMORY_MB = 2500  # five people at once


class Server:
    """A dashboard on a free port, and how much memory it takes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
        self.log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            command("127.0.0.1", port), cwd=folder, env=env, stdout=self.log, stderr=self.log
        )
        self.url = f"http://127.0.0.1:{port}"
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def cpu(self) -> float:
        """Seconds of processor time that it has taken."""
        return machine.cpu_seconds(self.process.pid)

    def memory_mb(self) -> float:
        """Resident memory of the server."""
        return memory.resident(self.process.pid)

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()
        told = Path(self.log.name).read_text(errors="replace")
        if "Traceback" in told:  # of a page that failed; the log goes with the folder
            print(told[-3000:], file=sys.stderr)


def times(
    server: Server, browser: Any, clips: list[Path], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """One person's waiting, every figure ``rounds`` times with work that is not in the cache, and
    the server's processor time until the picture was there."""
    found: dict[str, list[float]] = {name: [] for name in TARGETS}
    cpu: dict[str, list[float]] = {name: [] for name in TARGETS}

    def clock(name: str, act: Callable[[], None], anew: bool = False) -> None:
        with named(name, page):
            before = server.cpu()
            found[name].append(changed(page, OVERLAY, act, anew))
            cpu[name].append(server.cpu() - before)
            print(f"{name}: {found[name][-1]:.2f} s", file=sys.stderr, flush=True)
            settle(page)

    def go(query: str = "") -> Callable[[], None]:
        return lambda: page.goto(f"{server.url}/{query}", wait_until="commit")

    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    clock("first page of a new server", go(), anew=True)
    samples = page.locator(".st-key-samples-place [role=radio]")
    tiles = samples.evaluate_all("all => all.map(t => t.dataset.id)")
    for start in (40, 80, 120)[:rounds]:
        clock("page opened", go(f"?clip={tiles[0]}&start={start}"), anew=True)
    box = page.locator(".box").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    settle(page)
    for share in (0.3, 0.4, 0.5)[:rounds]:
        x = box["x"] + share * box["width"]
        clock("window dragged a step", lambda x=x: page.mouse.move(x, middle))
    page.mouse.up()
    settle(page)
    for name in tiles[1 : 1 + max(rounds, 1)]:
        clock("sample chosen", page.locator(f".tile[data-id='{name}']").click)
    for clip in clips[:rounds]:
        give = page.locator("input[type=file]").last
        clock("upload ended", lambda c=clip, g=give: g.set_input_files(str(c)))
    with named("the Layers page", page):
        changed(page, OVERLAY, go(f"layers?clip={tiles[0]}"), anew=True)
        settle(page)
    for layer in ("conv4b", "conv3b", "conv2a")[:rounds]:
        clock("other layer", page.locator(f".block[data-id={layer}]").click)
        maps = page.locator(".st-key-stage .tile[role=radio]")
        clock("other feature map", maps.nth(2).click)
        for name, which in (
            ("other method", "Guided backpropagation"),
            ("the same again (cache)", "Deconvolution"),
        ):
            with named(f"the menu of methods, for {name}", page):
                option = in_menu(page, which)
            clock(name, option.click)
    page.close()
    return found, cpu


def table(results: dict[str, Any]) -> str:
    """The figures as the markdown of docs/dashboard.md."""
    rows = ["| what | median | worst | of the processor | target |", "|---|---|---|---|---|"]
    for name, target in TARGETS.items():
        seconds, aim = results["seconds"][name], "" if target is None else f"{target:g} s"
        taken = f"{median(results['server_cpu_seconds'][name]):.2f} s"
        rows.append(
            f"| {name} | {median(seconds):.2f} s | {max(seconds):.2f} s | {taken} | {aim} |"
        )
    five = results["five_people"]
    rows += [
        "",
        f"Five people with five clips at once: {five['peak_mb']} MB at the peak (target "
        f"{MEMORY_MB}), "
        f"{five['before_mb']} MB before they came, {five['after_they_left_mb']} MB after they "
        f"left. {PEOPLE - five['saw_another_clip']} of {PEOPLE} saw their own clip.",
    ]
    return "\n".join(rows)


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--rounds", type=int, default=3, choices=(1, 2, 3))
    options = parser.parse_args()
    if not options.browser:
        parser.error("no Chromium found; give --browser PATH")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        clips = make_clips(folder)
        server = Server(folder)
        browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS)
        try:
            seconds, cpu = times(server, browser, clips, options.rounds)
            for name, of in (("seconds", seconds), ("of the processor", cpu)):
                print(name, {k: [round(s, 2) for s in v] for k, v in of.items()}, flush=True)
            five = crowd(server, browser, clips)
        finally:
            browser.close()
            server.close()
    results = {
        "machine": machine.describe("cpu", os.cpu_count() or 1),
        "load_before": os.getloadavg()[0],
        "seconds": {k: [round(s, 3) for s in v] for k, v in seconds.items()},
        "server_cpu_seconds": {k: [round(s, 3) for s in v] for k, v in cpu.items()},
        "five_people": five,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    return int(five["saw_another_clip"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
