"""A connection to Ray: to a cluster that is there, or to one of this machine's cores for as long as a run lasts."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError

LOCAL = "local"
_LOOPBACK = ("localhost", "127.0.0.1")
_STORE_BYTES = 512 << 20  # of shared memory, for blocks that wait and outcomes on their way
_ANSWER_S = 5.0  # in which a cluster's head answers a first call; Ray itself waits for minutes
# Ray's Unix sockets lie below its temporary folder, and their paths may have 107 bytes.
_LONGEST_FOLDER = 16
_FOLDER = "asray"


@dataclass(frozen=True)
class RayPlace:
    """Where a run's workers are, and how large they are.

    Attributes:
        address: ``local`` starts Ray on this machine and ends it; ``auto`` or ``host:port`` is a cluster that this
            machine belongs to.
        workers: processes that compute; None is one for each core of this machine or of the cluster.
        gpus_per_worker: share of a GPU that each worker has, such as 0.5; None is one where there are GPUs that a
            model would use, and 0 none.
    """

    address: str = LOCAL
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise BadInputError(f"workers={self.workers}: must be at least 1")
        if self.gpus_per_worker is not None and self.gpus_per_worker < 0:
            raise BadInputError(f"gpus_per_worker={self.gpus_per_worker}: must be at least 0")
        if self.address in (LOCAL, "auto"):
            return
        if "://" in self.address:
            raise BadInputError(
                f"Ray address {self.address!r}: must be auto or host:port, and the command run on one of the "
                "cluster's machines: features are committed where it runs"
            )
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise BadInputError(f"Ray address {self.address!r}: must be local, auto or host:port")


@dataclass(frozen=True)
class Workers:
    """How many workers the cluster has room for now, and the cores and the share of a GPU that each has."""

    count: int
    cores: int
    gpus: float = 0.0


@contextlib.contextmanager
def connected(place: RayPlace) -> Iterator[None]:
    """Be connected to Ray; what was started here is ended, and what SIGTERM means here stays as it was.

    A process that is connected already stays connected to what it is connected to.

    Raises:
        BadInputError: Ray is not installed, or no cluster answers at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise BadInputError("engine 'ray' needs the package 'ray': pip install 'affectstore[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else its C++ side warns of what we know
    os.environ.setdefault(
        "RAY_DEDUP_LOGS_SKIP_REGEX", "."
    )  # else its remarks stand among the answers of a command
    host, _, port = place.address.rpartition(":")
    if host in _LOOPBACK or place.address == LOCAL:
        # Else Ray takes this machine's outer address for loopback: nobody listens there, or everybody can.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if host:
        _answers(host, int(port))
    import ray  # seconds to import: only for this engine

    if ray.is_initialized():
        yield
        return
    folder = None
    kept = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    try:
        with _no_remarks():
            if place.address == LOCAL:
                folder = _temporary_folder()
                ray.init(
                    address=LOCAL,
                    num_cpus=cores(),
                    object_store_memory=_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                    include_dashboard=False,
                    **quiet,
                )
            else:
                ray.init(address=place.address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise BadInputError(f"Ray address {place.address!r}: {error}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, kept)  # Ray would end the program at once
    try:
        _hush()
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def room(place: RayPlace, on_gpus: bool = False) -> Workers:
    """How many workers fit now; connected.

    Args:
        place: what was asked for.
        on_gpus: whether models would run on GPUs: where Ray has some, each worker has one if nothing else was said.

    Raises:
        BadInputError: not even one does.
    """
    import ray

    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node["Resources"] for node in known if node["Alive"]]
    cores_of = [int(node.get("CPU", 0)) for node in nodes]
    gpus_of = [int(node.get("GPU", 0)) for node in nodes]
    share = place.gpus_per_worker
    if share is None:
        share = 1.0 if on_gpus and any(gpus_of) else 0.0
    # A share is of one GPU; a worker with several has whole ones.
    shares_of = [int(gpus * (1 // share if 0 < share < 1 else 1) / max(1.0, share)) for gpus in gpus_of]
    wanted = place.workers or (sum(shares_of) if share else sum(cores_of)) or 1
    each = max(1, min(sum(cores_of) // wanted, max(cores_of, default=0)))
    fitting = 0
    for cores_there, shares_there in zip(cores_of, shares_of, strict=True):
        fitting += min(cores_there // each, shares_there) if share else cores_there // each
    if not fitting:
        raise BadInputError(
            f"no worker of {each} cores and {share:g} GPUs fits: Ray has {len(nodes)} nodes with "
            f"{sum(cores_of)} cores and {sum(gpus_of)} GPUs"
        )
    return Workers(min(wanted, fitting), each, share)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _no_remarks() -> Iterator[None]:
    """Ray's C++ side says which log level it was given, past Python: what goes wrong here raises an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _hush() -> None:
    """Ray Data tells of every run; what matters of it is told here."""
    import ray.data

    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _answers(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _ANSWER_S).close()
    except OSError as error:
        raise BadInputError(f"Ray address '{host}:{port}': nobody answers there: {error}") from error


def _temporary_folder() -> str:
    """A new folder for Ray's sockets and logs; those of runs that were killed are removed."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST_FOLDER:
        base = Path("/tmp")
    for left in base.glob(f"{_FOLDER}-*-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_FOLDER}-{os.getpid()}-", dir=base)
