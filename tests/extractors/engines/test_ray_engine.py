"""Real Ray on this machine: the tables of a run without it, whatever happens to its processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from extractors.engines.ray_cluster import RayPlace
from extractors.extraction import extract
from extractors.registry import create
from feature_repo.errors import BadInputError
from feature_repo.store import Store, init_store, open_store
from tests.extractors.conftest import MINILM, make_voice, wav_bytes
from tests.extractors.engines.ray_extractors import Letters, LettersSettings, letters
from tests.extractors.engines.ray_processes import ROOT, prepare_ray, ray_processes, wait_until_gone
from tests.extractors.numbered_video import write_video

pytestmark = pytest.mark.long
RAY = RayPlace(workers=2)


@pytest.fixture(scope="module", autouse=True)
def ray_of_this_module():
    """One Ray for the module: starting it takes most of the time."""
    from extractors.engines.ray_cluster import connected

    with pytest.MonkeyPatch.context() as patch:
        prepare_ray(patch)
        patch.setattr("extractors.engines.ray_cluster.cores", lambda: 2)
        with connected(RAY):
            yield
            started = ray_processes(os.getpid())
    wait_until_gone(started)


def store_of(folder: Path, rows: pl.DataFrame) -> Store:
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    store.write_manifest("c", rows)
    return store


def stored(store: Store, view: str) -> pl.DataFrame:
    """Every row of every part, times left out: what was doubled shows."""
    table = store.table(view)
    rows = pa.concat_tables([table.read_part(name) for name in table.parts()])
    return pl.DataFrame(pl.from_arrow(rows)).drop("event_timestamp", "created_timestamp").sort("utterance_id")


def texts(count: int, **other: str) -> pl.DataFrame:
    said = {f"c/{n:03d}": f"{n:03d} is what was said" for n in range(count)} | other
    return pl.DataFrame({"utterance_id": list(said), "text": list(said.values())})


def check_letters(store: Store, without: tuple[str, ...] = ()) -> None:
    (view,) = store.views()
    rows = stored(store, view)
    manifest = store.manifest().filter(~pl.col("utterance_id").is_in(without))
    assert rows["utterance_id"].to_list() == manifest["utterance_id"].to_list()
    expected = [letters(text).tolist() for text in manifest["text"]]
    assert rows["text"].to_list() == expected


def test_tables_and_faults_are_those_of_the_local_engine(tmp_path, monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 16)  # so that there are blocks for two workers
    monkeypatch.setattr("extractors.runner.WINDOW_CLIPS", 12)
    rng = np.random.default_rng(0)
    words = np.array(["you did what", "oh my god", "it really has been great", "no way", "stop", "now"])
    rows = []
    for n in range(45):
        media = tmp_path / f"{n}.mp4"
        if n % 3 == 0:
            media = media.with_suffix(".wav")
            media.write_bytes(wav_bytes(make_voice(0.6 + rng.random(), n)))
        elif n % 3 == 1:
            write_video(media, 25)
        elif n != 8:
            media.write_bytes(b"no film" * n)
        text = " ".join(rng.choice(words, 1 + n % 17)) if n != 5 else ""
        rows.append({"utterance_id": f"c/{n:02d}", "text": text, "language": "en", "media_uri": str(media)})
    chosen = [
        ("hashing", {}),
        ("sentence", {"model": MINILM}),
        ("mfcc", {}),
        ("hog", {}),
    ]
    stores = []
    for place in (None, RAY):
        store = store_of(tmp_path / ("ray" if place else "local"), pl.DataFrame(rows))
        extractors = [create(name, {"batch_size": "8", **settings}) for name, settings in chosen]
        extract(store, extractors, profile="default", ray=place, device="cpu")
        stores.append(store)
    local, spread = stores
    assert local.views() == spread.views()
    assert len(local.views()) > len(chosen)
    for view in local.views():
        assert stored(local, view).equals(stored(spread, view)), view
        one, other = (store.faults.entries(view).drop("time").sort("utterance_id") for store in stores)
        assert one.equals(other)
        assert one.height >= (16 if "mfcc" in view else 0)  # no sound in videos, and what is no film
    assert local.catalog.slots("default") == spread.catalog.slots("default")


def test_a_worker_that_dies_is_replaced_and_no_fault_filed(tmp_path):
    store = store_of(tmp_path, texts(40, **{"c/x": "die once, and then be computed"}))
    (tmp_path / "deaths").mkdir()
    letters_ = Letters(LettersSettings(deaths=str(tmp_path / "deaths")))
    report, _ = extract(store, [letters_], profile="default", ray=RAY)
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert (report.computed, report.faults_by_reason) == (41, {})
    check_letters(store)


def test_who_ends_every_worker_is_named_and_the_others_are_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 4)
    store = store_of(tmp_path, texts(12, **{"c/x": "die whenever it is computed"}))
    (tmp_path / "deaths").mkdir()
    letters_ = Letters(LettersSettings(deaths=str(tmp_path / "deaths")))
    with pytest.raises(BadInputError, match="^c/x: every worker that computed this died"):
        extract(store, [letters_], profile="default", ray=RAY)
    check_letters(store, without=("c/x",))
    (view,) = store.views()
    assert store.faults.entries(view).is_empty()


def test_a_model_that_can_not_be_loaded_ends_the_run_with_its_reason(tmp_path):
    store = store_of(tmp_path, texts(3))
    sentence = create("sentence", {"model": MINILM})
    with pytest.raises(BadInputError, match=r"^node .*device 'quantum' is not there"):
        extract(store, [sentence], profile="default", ray=RAY, device="quantum")


SCRIPT = """
import sys
from extractors.commands import ending_like_ctrl_c
from extractors.engines.ray_cluster import RayPlace
from extractors.extraction import extract
from feature_repo import fill
from feature_repo.store import open_store
from tests.extractors.engines.ray_extractors import Letters, LettersSettings
import extractors.runner

if __name__ == "__main__":
    root, cache, address, workers, seconds = sys.argv[1:]
    extractors.runner.BLOCK_ITEMS = 4
    fill.FLUSH_ROWS = 4
    letters = Letters(LettersSettings(seconds=float(seconds)))
    with ending_like_ctrl_c():
        report, _ = extract(
            open_store(root, cache=cache), [letters], profile="default", ray=RayPlace(address, int(workers)))
    print("computed", report.computed)
"""


def start(
    store: Store, script: Path, seconds: float, address: str = "local", workers: int = 1
) -> subprocess.Popen[str]:
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), store.root, str(store.cache), address, str(workers), str(seconds)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )


def wait_for_rows(store: Store, count: int, process: subprocess.Popen[str]) -> int:
    """Wait until so many rows are committed; how many there are then."""
    for _ in range(1200):
        assert process.poll() is None, "the extraction ended before it was to be killed"
        again = open_store(store.root)
        found = sum(again.table(view).live_keys().height for view in again.views())
        if found >= count:
            return found
        time.sleep(0.1)
    raise AssertionError("two minutes without a row")


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_that_is_ended_leaves_no_process_and_is_resumed(tmp_path, ended_by):
    store = store_of(tmp_path, texts(60))
    process = start(store, tmp_path / "run.py", 0.15)
    wait_for_rows(store, 8, process)
    started = ray_processes(process.pid)
    process.send_signal(ended_by)
    process.communicate(timeout=60)
    wait_until_gone(started)
    store = open_store(store.root, cache=str(store.cache))
    (view,) = store.views()
    kept = stored(store, view).height
    assert 8 <= kept < 60
    report, _ = extract(store, [Letters(LettersSettings())], profile="default", ray=RAY)
    assert report.computed == 60 - kept
    check_letters(store)
