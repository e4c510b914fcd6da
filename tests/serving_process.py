"""A server of the command line in a process of its own, for tests and benchmarks."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PATIENCE_S = 90  # of a loaded machine; Feast alone takes seconds to import


@contextlib.contextmanager
def running(root: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """An ``affectstore`` server that listens, with the lines that it has printed."""
    environment = {**os.environ, "AFFECTSTORE_ROOT": root, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "affectstore", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    listens = threading.Event()

    def read() -> None:
        for line in process.stdout:
            lines.append(line.rstrip())
            if "Ctrl-C stops it" in line:
                listens.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not listens.wait(0.1):
            assert process.poll() is None, "\n".join(lines)
            assert time.monotonic() < end, "\n".join(lines)
        yield process, lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        reader.join(10)
