"""The dashboard's command."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call

from c3d_viz.cli import dashboard
from c3d_viz.errors import VizError
from c3d_viz.nets import fingerprint
from c3d_viz.nets.spec import COMPACT_INPUT, ModelSpec
from c3d_viz.weights import NetworkChoice, save_model


def test_the_dashboard_listens_on_loopback_without_telemetry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = dashboard.command(port=8600)
    assert "--server.address=127.0.0.1" in words
    assert "--server.port=8600" in words
    assert "--server.headless=true" in words
    assert "--browser.gatherUsageStats=false" in words
    assert Path(words[words.index("run") + 1]).name == "main.py"
    assert "-P" in words
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VizError, match="needs streamlit"):
        dashboard.command()


def test_a_taken_port_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VizError, match=f"127.0.0.1:{port}.*--port"):
            dashboard.check_port("127.0.0.1", port)
    for wrong in (0, 70000):
        with pytest.raises(VizError, match="1-65535"):
            dashboard.check_port("127.0.0.1", wrong)


@pytest.mark.parametrize("host", ["a..b", "a" * 300, "\u202e", ".", "", " "])
def test_a_host_that_no_machine_can_be_called_is_one_line(
    capsys: pytest.CaptureFixture[str], host: str
) -> None:
    status, out, err = call(capsys, "app", "--host", host, "--port", str(_free_port()))
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert "--host" in err
    assert repr(host) in err
    assert "unexpected" not in err


def test_weights_of_the_dashboard_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(VizError, match=r"nothing\.pth"):
        dashboard.serve(NetworkChoice(weights=tmp_path / "nothing.pth"), port=_free_port())


def test_the_dashboard_gets_its_weights(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_c3d: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "own.safetensors"
    spec = ModelSpec("compact", "own weights", True, COMPACT_INPUT, 5)
    save_model(path, tiny_c3d, spec)
    seen: dict[str, Any] = {}

    def run(words: list[str], env: dict[str, str]) -> int:
        seen.update(words=words, env=env)
        return 0

    monkeypatch.setattr(dashboard, "run", run)
    monkeypatch.setenv(dashboard.STARTED["network"], "stale")
    monkeypatch.chdir(tmp_path)
    port = ["--port", str(_free_port())]
    np.save("mean.npy", np.full((3, 16, 128, 171), 100, dtype=np.float32))
    Path("names.txt").write_text("a\nb\nc\nd\ne\n")
    given = ["--weights", path.name, "--resize", "128,171", "--channel-order", "BGR"]
    given += ["--mean", "mean.npy", "--classes", "names.txt"]
    assert call(capsys, "app", *port, *given)[0] == 0
    handed = NetworkChoice.from_json(json.loads(seen["env"][dashboard.STARTED["network"]]))
    assert handed == NetworkChoice(  # absolute: the server may run in another folder
        weights=path,
        resize=(128, 171),
        channel_order="BGR",
        mean=tmp_path / "mean.npy",
        classes=tmp_path / "names.txt",
    )
    assert call(capsys, "app", *port)[0] == 0
    assert dashboard.STARTED["network"] not in seen["env"]
    seen.clear()
    status, _, error = call(capsys, "app", *port, *given[:2], "--channel-order", "XYZ")
    assert (status, seen) == (2, {})
    assert "XYZ" in error

    # what a check found of the network that the page opens with, and of no other
    known = {
        **{"schema": 1, "model": "own", "valid": True, "lines": {}, "short": {}},
        "fingerprint": fingerprint(NetworkChoice(weights=path).load()[0]),  # stored in half
    }
    Path("facts.json").write_text(json.dumps(known))
    assert call(capsys, "app", *port, *given[:2], "--facts", "facts.json")[0] == 0
    assert seen["env"][dashboard.STARTED["facts"]] == str(tmp_path / "facts.json")
    assert NetworkChoice.from_json(
        json.loads(seen["env"][dashboard.STARTED["network"]])
    ).weights == str(path)
    seen.clear()
    status, _, error = call(capsys, "app", *port, "--facts", "facts.json")
    assert (status, seen) == (2, {})
    assert "is of another network" in error


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_whatever_stops_the_command_stops_the_server(tmp_path: Path, how: signal.Signals) -> None:
    port = _free_port()
    command = [sys.executable, "-m", "c3d_viz.cli", "app", "--port", str(port)]
    root = Path(dashboard.__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        os.kill(process.pid, how)  # that one alone, as a service manager does
        process.wait(30)
        dashboard.check_port("127.0.0.1", port)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)  # nobody of its family is left
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_an_atlas_is_looked_at_before_the_server_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(dashboard, "run", lambda words, env: seen.update(env) or 0)
    monkeypatch.setenv(dashboard.STARTED["atlas"], "stale")
    port = ["--port", str(_free_port())]
    assert call(capsys, "app", *port)[0] == 0
    assert dashboard.STARTED["atlas"] not in seen
    shipped = Path(dashboard.__file__).parents[2] / "app" / "assets" / "atlas"
    shutil.copytree(shipped, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "app", *port, "--atlas", "mine")[0] == 0
    assert seen[dashboard.STARTED["atlas"]] == str(tmp_path / "mine")
    seen.clear()
    (tmp_path / "mine" / "maps.parquet").write_bytes(b"PAR1")
    for wrong, why in (("nowhere", "holds no atlas"), ("mine", "mine")):
        status, said, error = call(capsys, "app", *port, "--atlas", wrong)
        assert (status, said, seen, error.count("\n")) == (2, "", {}, 1)
        assert why in error
