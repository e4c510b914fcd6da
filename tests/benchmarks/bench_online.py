"""Online lookup of 1, 32 and 256 ids: Feast's SDK and HTTP beside plain reads of the same bytes in SQLite and Redis.

Run it as ``python -m tests.benchmarks.bench_online [--rows 5000] [--width 512] [--tries 15]``. One view of float32
vectors in each kind of database that is installed. The plain read takes the vectors' own bytes by primary key, to a
NumPy array, in the same process; every other way ends in such an array as well, and is compared with it bit by bit.
Medians; the last number is the size of the answer against the vectors' own bytes. Goals: JSON floats cost about 5 times
the raw bytes, bytes at most 1.4 times, from 32 ids on.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.feast_config import write_configuration
from feature_repo.feast_import import import_feast
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from tests.servers import free_port, postgres_program, running_postgres, running_redis
from tests.serving_process import running

ASKED = (1, 32, 256)
Read = Callable[[Sequence[str]], tuple[np.ndarray, int]]


def make_store(folder: Path, rows: int, width: int) -> tuple[Store, dict[str, np.ndarray]]:
    """A store of random vectors, and these by id."""
    recipe = Recipe("text", "bench", 1, "text", "pooled", width)
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    ids = [f"bench/dia{number // 10}_utt{number % 10}" for number in range(rows)]
    store.write_manifest("bench", pl.DataFrame({"utterance_id": ids, "text": ids}))
    numbers = np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)
    known = dict(zip(ids, numbers, strict=True))

    def compute(missing):
        for view, names in missing.items():
            for name in names:
                yield view, name, Features(known[name], "")

    fill(store, [recipe], compute)
    store.catalog.set("bench", {"text": recipe.view})
    return store, known


@contextlib.contextmanager
def databases(folder: Path, store: Store) -> Iterator[dict[str, str]]:
    """URL of each online store that can be started here; secrets are exported."""
    with contextlib.ExitStack() as stack:
        found = {"sqlite": "sqlite"}
        if shutil.which("redis-server"):
            redis = stack.enter_context(running_redis())
            os.environ["BENCH_REDIS"] = redis.password
            found["redis"] = redis.url.replace(redis.password, "${BENCH_REDIS}")
        if postgres_program("initdb"):
            postgres = stack.enter_context(running_postgres())
            os.environ["BENCH_POSTGRES"] = postgres.password
            found["postgres"] = postgres.url.replace(postgres.password, "${BENCH_POSTGRES}")
        yield found


def plain_read(kind: str, url: str, folder: Path, known: dict[str, np.ndarray]) -> Read | None:
    """The vectors' bytes by primary key, as one would without Feast."""
    if kind == "sqlite":
        database = sqlite3.connect(folder / "plain.db")
        database.execute("CREATE TABLE IF NOT EXISTS vectors (id TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
        database.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
            [(name, row.tobytes()) for name, row in known.items()],
        )
        database.commit()

        def from_sqlite(ids: Sequence[str]) -> tuple[np.ndarray, int]:
            marks = ",".join("?" * len(ids))
            rows = dict(database.execute(f"SELECT id, value FROM vectors WHERE id IN ({marks})", list(ids)))
            raw = b"".join(rows[name] for name in ids)
            return np.frombuffer(raw, "<f4").reshape(len(ids), -1), len(raw)

        return from_sqlite
    if kind == "redis":
        import redis

        client = redis.Redis.from_url(os.path.expandvars(url))
        client.hset("plain", mapping={name: row.tobytes() for name, row in known.items()})

        def from_redis(ids: Sequence[str]) -> tuple[np.ndarray, int]:
            raw = b"".join(client.hmget("plain", list(ids)))
            return np.frombuffer(raw, "<f4").reshape(len(ids), -1), len(raw)

        return from_redis
    return None


def ways(store: Store, port: int) -> dict[str, Read]:
    """Every way to ask Feast's online store."""
    from feature_repo.feast_store import open_feast
    from feature_repo.online import lookup

    feast = open_feast(store)
    view = store.catalog.slots("bench")["text"]
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def from_sdk(ids: Sequence[str]) -> tuple[np.ndarray, int]:
        rows = [{"utterance_id": name} for name in ids]
        return np.array(feast.get_online_features([f"{view}:text"], rows).to_dict()["text"], np.float32), 0

    def from_lookup(ids: Sequence[str]) -> tuple[np.ndarray, int]:
        return np.array(lookup(store, "text", ids)["text"].to_list(), np.float32), 0

    def ask(ids: Sequence[str], query: str = "", **headers: str) -> bytes:
        body = json.dumps({"feature_service": "bench_text", "entities": {"utterance_id": list(ids)}})
        headers = {"Content-Type": "application/json", **headers}
        connection.request("POST", f"/get-online-features{query}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content[:500]
        return content

    def values(content: bytes) -> list:
        found = json.loads(content)
        return found["results"][found["metadata"]["feature_names"].index("text")]["values"]

    def from_json(ids: Sequence[str]) -> tuple[np.ndarray, int]:
        content = ask(ids)
        return np.array(values(content), np.float32), len(content)

    def from_bytes(ids: Sequence[str]) -> tuple[np.ndarray, int]:
        content = ask(ids, "?vectors=bytes")
        rows = [np.frombuffer(base64.b64decode(value), "<f4") for value in values(content)]
        return np.stack(rows), len(content)

    def from_arrow(ids: Sequence[str]) -> tuple[np.ndarray, int]:
        content = ask(ids, Accept="application/vnd.apache.arrow.stream")
        column = pl.read_ipc_stream(content)["text"]
        return column.explode().to_numpy().reshape(len(ids), -1), len(content)

    return {
        "Feast's SDK": from_sdk,
        "lookup": from_lookup,
        "HTTP, JSON floats": from_json,
        "HTTP, bytes": from_bytes,
        "HTTP, Arrow": from_arrow,
    }


def measured(read: Read, ids: list[list[str]], known: dict[str, np.ndarray]) -> tuple[float, float]:
    """Median seconds, and answer bytes per raw byte."""
    read(ids[0])
    taken = []
    size = 0.0
    for asked in ids:
        start = time.perf_counter()
        found, sent = read(asked)
        taken.append(time.perf_counter() - start)
        raw = np.stack([known[name] for name in asked])
        assert found.tobytes() == raw.tobytes(), "other numbers than are stored"
        size += sent / raw.nbytes / len(ids)
    return statistics.median(taken), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--tries", type=int, default=15)
    arguments = parser.parse_args()
    import_feast()
    print(
        f"{arguments.rows} rows of {arguments.width} on {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}"
    )
    os.environ.pop("FEAST_FS_YAML_FILE_PATH", None)
    draw = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, known = make_store(folder, arguments.rows, arguments.width)
        names = list(known)
        with databases(folder, store) as found:
            for kind, url in found.items():
                write_configuration(store, online=url)
                from feature_repo.online import materialize

                start = time.perf_counter()
                materialize(store)
                print(f"\n{kind}: materialized in {time.perf_counter() - start:.1f} s")
                port = free_port()
                plain = plain_read(kind, url, folder, known)
                with running(store.root, "serve", "--port", str(port)):
                    wait_for(port)
                    asked = {
                        count: [
                            list(draw.choice(names, count, replace=False)) for _ in range(arguments.tries)
                        ]
                        for count in ASKED
                    }
                    base = (
                        {count: measured(plain, ids, known)[0] for count, ids in asked.items()}
                        if plain
                        else {}
                    )
                    if base:
                        told = "  ".join(
                            f"{count:>4} ids {base[count] * 1e3:8.2f} ms            " for count in ASKED
                        )
                        print(f"{'plain read':<18} {told}")
                    for way, read in ways(store, port).items():
                        cells = []
                        for count, ids in asked.items():
                            seconds, wire = measured(read, ids, known)
                            ratio = f"{seconds / base[count]:5.1f}x" if base else "      "
                            size = f"{wire:4.2f}" if wire else "    "
                            cells.append(f"{count:>4} ids {seconds * 1e3:8.2f} ms {ratio} {size}")
                        print(f"{way:<18} {'  '.join(cells)}")
    print("\neach: milliseconds, times the plain read, answer bytes per raw byte")
    print(f"load after: {os.getloadavg()[0]:.1f}")


def wait_for(port: int) -> None:
    """Until the workers answer."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not come up")


if __name__ == "__main__":
    main()
