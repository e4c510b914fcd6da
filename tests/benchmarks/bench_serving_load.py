"""Fifty clients at once for a minute, each answer checked; then the online store is killed, and later comes back.

Run it as ``python -m tests.benchmarks.bench_serving_load [--seconds 60] [--clients 50] [--online redis]``. Clients and
server share the machine. Every client asks for one random id after another over a kept connection, and compares the
vector's bytes with what was stored. After the kill every answer must be an error, never a number and never "absent";
after the restart answers must be right again.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from feature_repo.feast_config import write_configuration
from feature_repo.feast_import import import_feast
from tests.benchmarks.bench_online import make_store, wait_for
from tests.servers import free_port, running_postgres, running_redis
from tests.serving_process import running


@dataclass
class Load:
    """What came of the requests of one phase: seconds of the right answers, and how many others of each kind."""

    right: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.right, share)) if self.right else float("nan")


def load(port: int, known: Mapping[str, np.ndarray], clients: int, seconds: float) -> Load:
    """Ask from as many threads, for so long, and check every answer."""
    found = Load()
    guard = threading.Lock()
    names = list(known)
    end = time.monotonic() + seconds

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        right: list[float] = []
        others: Counter[str] = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end:
            name = draw.choice(names)
            start = time.perf_counter()
            try:
                kind = answered(connection, name, known[name])
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                kind = f"no answer: {type(error).__name__}"
            if kind == "right":
                right.append(time.perf_counter() - start)
            else:
                others[kind] += 1
        connection.close()
        with guard:
            found.right.extend(right)
            found.others.update(others)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def answered(connection: http.client.HTTPConnection, name: str, vector: np.ndarray) -> str:
    """``right``, ``error STATUS`` or what is wrong with the answer."""
    import base64

    body = json.dumps({"feature_service": "bench_text", "entities": {"utterance_id": [name]}})
    connection.request(
        "POST", "/get-online-features?vectors=bytes", body, {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        return f"error {answer.status}"
    found = json.loads(content)
    (value,) = found["results"][found["metadata"]["feature_names"].index("text")]["values"]
    if value is None:
        return "ABSENT"
    return "right" if base64.b64decode(value) == vector.tobytes() else "WRONG NUMBERS"


@contextlib.contextmanager
def loaded(kind: str, folder: Path, rows: int, width: int, workers: int) -> Iterator[tuple]:
    """A served store: port of the feature server, database server, vectors by id."""
    from feature_repo.online import materialize

    os.environ.pop("FEAST_FS_YAML_FILE_PATH", None)
    store, known = make_store(folder, rows, width)
    start = {"redis": running_redis, "postgres": running_postgres}[kind]
    with start() as database:
        os.environ["BENCH_PASSWORD"] = database.password
        write_configuration(store, online=database.url.replace(database.password, "${BENCH_PASSWORD}"))
        materialize(store)
        port = free_port()
        with running(store.root, "serve", "--port", str(port), "--workers", str(workers)):
            wait_for(port)
            yield port, database, known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--online", choices=("redis", "postgres"), default="redis")
    arguments = parser.parse_args()
    import_feast()
    print(
        f"{arguments.clients} clients, {arguments.online}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    with (
        tempfile.TemporaryDirectory() as name,
        loaded(arguments.online, Path(name), arguments.rows, arguments.width, arguments.workers) as served,
    ):
        port, database, known = served
        found = load(port, known, arguments.clients, arguments.seconds)
        print(
            f"{len(found.right):,} right answers, {len(found.right) / arguments.seconds:.0f}/s, "
            f"p50 {found.percentile(50) * 1e3:.0f} ms, p90 {found.percentile(90) * 1e3:.0f} ms, "
            f"p99 {found.percentile(99) * 1e3:.0f} ms; others: {dict(found.others) or 'none'}"
        )
        database.kill()
        dead = load(port, known, arguments.clients, min(10.0, arguments.seconds))
        print(f"{arguments.online} killed: {len(dead.right)} numbers; {dict(dead.others)}")
        database.restart()
        again = load(port, known, arguments.clients, min(5.0, arguments.seconds))
        print(f"restarted: {len(again.right):,} right answers; others: {dict(again.others) or 'none'}")
    print(f"load after: {os.getloadavg()[0]:.1f}")
    assert not found.others
    assert not dead.right
    assert all(kind.startswith("error 5") for kind in dead.others)
    assert again.right
    assert not again.others


if __name__ == "__main__":
    main()
