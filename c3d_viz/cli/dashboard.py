"""Start the dashboard: Streamlit on this machine only, without telemetry, without a browser.

Streamlit runs in a process of its own, so nothing in c3d_viz imports it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import VizError
from .options import Network
from .progress import say

STARTED = {  # what the server is started with: its environment, which app/pages.py reads
    "network": "C3D_VIZ_NETWORK",  # a NetworkChoice as JSON
    "facts": "C3D_VIZ_FACTS",  # path of a facts.json
    "atlas": "C3D_VIZ_ATLAS",  # a folder
}


def command(host: str = "127.0.0.1", port: int = 8501) -> list[str]:
    """The command that serves the dashboard.

    Raises:
        VizError: streamlit or the app's files are missing.
    """
    package = Path(__file__).parents[1]  # installed, the app lies in it; in a checkout, beside it
    places = (package / "_app" / "main.py", package.parent / "app" / "main.py")
    main = next((place for place in places if place.is_file()), places[0])
    if not main.is_file():
        raise VizError(f"the dashboard's files are missing ({main}); install c3d-viz again")
    if importlib.util.find_spec("streamlit") is None:
        raise VizError("the dashboard needs streamlit, which is missing; run: pip install c3d-viz")
    return [
        sys.executable,
        "-P",  # a folder "app" where the command is run must not take the dashboard's place
        *("-m", "streamlit", "run", str(main)),
        f"--server.address={host}",
        f"--server.port={port}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
    ]


def check_port(host: str, port: int) -> None:
    """Raise VizError unless ``host:port`` can be listened on."""
    if not host.strip():
        raise VizError(f"--host is empty, got {host!r}; leave it out, or give an address")
    if not 1 <= port <= 65535:
        raise VizError(f"port must be 1-65535, got {port}")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except ValueError:  # before anybody is asked for it
        raise VizError(
            f"--host takes the address or name of this machine, as 127.0.0.1, ::1 or localhost, "
            f"got {host!r}"
        ) from None
    except OSError as error:
        wrong = "--host" if isinstance(error, socket.gaierror) else "--port"
        raise VizError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another {wrong}"
        ) from None


def serve(
    network: Network | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    facts: Path | None = None,
    atlas: Path | None = None,
) -> int:
    """Run the dashboard until it is stopped; returns Streamlit's exit status.

    Args:
        network: what the page opens with; it is loaded once first, so that a wrong one is an
            error here and not in the page. None or the default one leaves it to the page.
        host: loopback unless other machines are meant to reach the page.
        port: a free port.
        facts: facts.json of a check on that network, for what is said beside its maps.
        atlas: a folder of ``c3d-viz atlas`` to show; the page says where it is another network's.

    Raises:
        VizError: the port is taken, facts are of another network, something is not installed.
        ExportError: there is no atlas, or it is damaged.
        WeightsError: the checkpoint does not load.
    """
    check_port(host, port)
    environment = {k: v for k, v in os.environ.items() if k not in STARTED.values()}
    if atlas is not None:
        from ..corpus import Atlas

        environment[STARTED["atlas"]] = str(Atlas.open(atlas).path.absolute())
    plain = network is None or network.options() == ["--model", "compact"]
    if facts is not None:
        check_facts(network, facts)
        environment[STARTED["facts"]] = str(facts.absolute())
    elif network is not None and not plain:
        network.load()
    if network is not None and not plain:
        # the server may run in another folder
        environment[STARTED["network"]] = json.dumps(network.absolute().to_json())
    words = command(host, port)
    shown = f"[{host}]" if ":" in host else host
    say(f"dashboard: http://{shown}:{port} (stop it with Ctrl-C)")
    return run(words, environment)


def check_facts(network: Network | None, facts: Path) -> None:
    """Raise VizError unless a facts.json is of the network that the page opens with."""
    from ..trust import facts_for
    from ..weights import NetworkChoice

    model, spec = (network or NetworkChoice()).load()
    facts_for(model, spec.name, facts)


def run(words: list[str], environment: Mapping[str, str]) -> int:
    """Run the server in this process's place: whatever stops the command stops the server.

    Windows has no such thing; there it is a child, and its exit status is returned.
    """
    if os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(words[0], words, environment)
    try:
        return subprocess.call(words, env=dict(environment))
    except KeyboardInterrupt:  # the server has got it too
        return 0
