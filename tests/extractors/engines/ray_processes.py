"""Ray's processes on this machine, so that tests see whether one was left behind."""

import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_RAY = (
    "raylet",
    "gcs_server",
    "ray::",
    "default_worker.py",
    "ray/dashboard",
    "runtime_env_agent",
    "log_monitor.py",
)


def prepare_ray(patch: pytest.MonkeyPatch) -> None:
    """Let a Ray that is started here listen on loopback alone, and its workers import the tests' extractors."""
    patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray = pytest.importorskip("ray")
    patch.setattr(ray._private.ray_constants, "ENABLE_RAY_CLUSTER", False)  # it may have been imported before
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", str(ROOT))
    patch.setenv("OMP_NUM_THREADS", "1")


def ray_processes() -> set[int]:
    """Ids of the processes that are of some Ray."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                zombie = ") Z " in (folder / "stat").read_text(errors="replace")
            except OSError:
                continue  # it has ended
            if not zombie and any(word in command for word in _RAY):
                found.add(int(folder.name))
    return found


def wait_until_gone(before: set[int], seconds: float = 150.0) -> None:
    """Wait for every process of a Ray that was not there before to end; after a kill its agents take a minute.

    Raises:
        AssertionError: some stay.
    """
    deadline = time.monotonic() + seconds
    while left := ray_processes() - before:
        assert time.monotonic() < deadline, f"processes of Ray are left: {sorted(left)}"
        time.sleep(0.2)
