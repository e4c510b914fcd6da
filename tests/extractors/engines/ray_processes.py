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


def ray_processes(ancestor: int) -> set[int]:
    """Ids of Ray's processes that another one started, itself or through others; other people's Ray is left out."""
    parents, rays = {}, set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(") ")[2].split()[:2]
            except OSError:
                continue  # it has ended
            parents[int(folder.name)] = int(parent)
            if state != "Z" and any(word in command for word in _RAY):
                rays.add(int(folder.name))
    return {each for each in rays if ancestor in _line(each, parents)}


def _line(process: int, parents: dict[int, int]) -> list[int]:
    line = []
    while process := parents.get(process, 0):
        line.append(process)
    return line


def wait_until_gone(processes: set[int], seconds: float = 150.0) -> None:
    """Wait for processes to end; after a kill Ray's agents take a minute.

    Raises:
        AssertionError: some stay.
    """
    assert processes, "nothing of Ray was there"
    deadline = time.monotonic() + seconds
    while left := {each for each in processes if _alive(each)}:
        assert time.monotonic() < deadline, f"processes of Ray are left: {sorted(left)}"
        time.sleep(0.2)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
