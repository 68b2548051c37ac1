"""The same tasks over a Ray cluster: which machine does what, and again if need be, is Ray's part.

A task names a video and a range of its windows; its result is a shard in a folder that every
machine sees. Only names and numbers go through Ray: no frame, no vector and no weights. Tasks and
not actors: what waits for an actor whose machine died waits until there is room for the actor,
while a task goes to whatever machine is left. A process keeps its network from task to task.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..arguments import check_fields
from ..engine import one_thread_each
from ..errors import VizError
from .workers import Workers, outcome

Task = TypeVar("Task")
Result = TypeVar("Result")

RETRIES = 3  # of a task whose process or machine ended
SETTINGS = {  # of Ray, by its environment
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it warns of that it will do later
}
_STORE = 100 << 20  # bytes; the least that Ray takes is 75 MiB, and we have nothing to put there
_AHEAD = 1  # tasks that wait beside each one in work
_kept: dict[bytes, Any] = {}  # of a process of Ray's: what ``make`` made, for its last run


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: ``HOST:PORT``, ``auto`` or ``ray://...`` of one that runs; None is the one that
            this process is connected to or RAY_ADDRESS names, else a new one on this machine.
    """

    address: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, VizError)


def workers(
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
    jobs: int,
    cluster: Cluster | None,
    device: str,
) -> Workers | RayWorkers:
    """Who does the tasks: processes of this machine, or a cluster."""
    if cluster is None:
        return Workers(make, arguments, jobs)
    return RayWorkers(make, arguments, jobs, cluster, gpus=int(device != "cpu"))


class RayWorkers:
    """``Workers`` on a cluster: a context manager; disconnects if it connected.

    Args:
        make: called once in each process; importable on every machine, arguments picklable.
        jobs: tasks at a time; 0 is the cluster's number of processors.
        gpus: of each task.

    Raises:
        VizError: jobs below 0; ray is not installed, or no cluster answers.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        arguments: tuple[Any, ...],
        jobs: int,
        cluster: Cluster,
        gpus: int = 0,
    ) -> None:
        if jobs < 0:
            raise VizError(f"jobs must be at least 1 process, got {jobs}")
        if importlib.util.find_spec("ray") is None:
            raise VizError(
                '--engine ray needs Ray, which is missing; run: pip install "c3d-viz[ray]"'
            )
        self._made, self._jobs, self._cluster, self._gpus = (make, arguments), jobs, cluster, gpus
        self._connected = False

    def __enter__(self) -> RayWorkers:
        import ray

        if not ray.is_initialized():
            _connect(self._cluster, self._jobs)
            self._connected = True
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._connected:
            ray.shutdown()

    def run(
        self, work: Callable[[Any, Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Result | VizError]]:
        """(task, its result, or the VizError that it raised), as they are done."""
        import ray

        made = pickle.dumps((os.getcwd(), *self._made))
        remote = ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=RETRIES)(_do)
        todo, running = list(reversed(tasks)), dict[Any, Task]()
        at_once = self._jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        while todo or running:
            while todo and len(running) < at_once * (1 + _AHEAD):
                task = todo.pop()
                running[remote.remote(made, work, task)] = task
            for done in ray.wait(list(running), num_returns=1)[0]:
                yield running.pop(done), _result(done)


def _result(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
    ):
        return VizError(
            f"the process that worked on it was ended from outside, {RETRIES + 1} times (out of "
            f"memory?); leave it out, or use machines with more"
        )


def _do(made: bytes, work: Callable[[Any, Any], Any], task: Any) -> Any:
    """A task, in a process of Ray's."""
    with one_thread_each:
        if made not in _kept:
            _kept.clear()
            folder, make, arguments = pickle.loads(made)
            os.chdir(folder)  # paths are as they were given
            _kept[made] = make(*arguments)
        return outcome(work, _kept[made], task)


def _connect(cluster: Cluster, jobs: int) -> None:
    import ray

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    there = cluster.address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {
        "num_cpus": jobs or None,
        "include_dashboard": False,
        "object_store_memory": _STORE,
    }
    try:
        if there and there not in ("auto", "local"):  # Ray itself would try for minutes
            host, _, port = there.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), 5).close()
        ray.init(
            address=there or "local",
            log_to_driver=False,
            configure_logging=False,
            **({} if there else own),
        )
    except (OSError, RuntimeError, ValueError, OverflowError, ray.exceptions.RayError) as error:
        reason = " ".join(str(error).split())[:200]
        raise VizError(
            f"no Ray cluster answers at {there or 'this machine'} ({reason}); start one with ray "
            f"start --head, or leave --address out"
        ) from None
