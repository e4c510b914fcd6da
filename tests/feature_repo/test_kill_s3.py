"""Writers on S3 killed with -9, also within an upload, and a killed server: nothing is half there, lost or doubled."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feature_repo.errors import AffectStoreError
from feature_repo.fill import fill
from feature_repo.store import open_store
from tests.feature_repo.planted import (
    STEPS,
    TEXT,
    Extraction,
    expected_value,
    live,
    new_store,
    rows,
    stored_live,
    texts,
    values,
)
from tests.slow_proxy import proxy

RECIPES = [TEXT, STEPS]
SIZE = 600_000
# Objects named after their digest, one after the other; tells of each before and after.
UPLOADS = """
import hashlib, os, sys
from feature_repo.files import FileLayer

files = FileLayer(sys.argv[1])
files.exists("warm")
while True:
    data = os.urandom(int(sys.argv[2]))
    name = hashlib.sha256(data).hexdigest()
    print("start", name, flush=True)
    files.create("features/t/" + name, data)
    print("done", name, flush=True)
"""
EXTRACTION = """
import sys, time
from feature_repo.fill import fill
from feature_repo.store import open_store
from tests.feature_repo.planted import STEPS, TEXT, Extraction

store = open_store(sys.argv[1], cache=sys.argv[2])
recipes = [TEXT, STEPS]
print("began", flush=True)
fill(store, recipes, Extraction(store, recipes, lambda done: time.sleep(0.02)), flush_bytes=100)
print("ended", flush=True)
"""


def child(code: str, *arguments: str, **changed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **changed},
    )


def kill(process: subprocess.Popen[str]) -> list[str]:
    """SIGKILL; returns what it had said and nobody had read."""
    process.kill()
    told, _ = process.communicate()
    return told.splitlines()


def kill_within_uploads(bucket, kills: int, seed: int) -> None:
    drawn = random.Random(seed)
    started: set[str] = set()
    finished: set[str] = set()
    with proxy(bucket.server.port, "slow", bytes_per_s=SIZE) as between:  # a second for each object
        for _ in range(kills):
            process = child(UPLOADS, bucket.root, str(SIZE), AWS_ENDPOINT_URL=between.url)
            said = [process.stdout.readline()]
            time.sleep(drawn.uniform(0.0, 1.8))  # within the first, or within the second
            said += kill(process)
            words = [line.split() for line in said]
            started |= {name for word, name in words if word == "start"}
            finished |= {name for word, name in words if word == "done"}
    time.sleep(1.0)  # what the proxy had taken already arrives
    found = {key.rpartition("/")[2]: data for key, data in bucket.objects().items() if "/tmp/" not in key}
    for name, data in found.items():
        assert hashlib.sha256(data).hexdigest() == name, "a part is listed that is not whole"
    assert finished <= set(found) <= started
    assert started - finished, "no kill fell within an upload"


def test_a_kill_within_an_upload_leaves_no_visible_part(s3):
    kill_within_uploads(s3, 3, 1)


@pytest.mark.long
def test_twenty_kills_within_uploads_leave_no_visible_part(s3):
    kill_within_uploads(s3, 20, 2)


def kill_extractions(bucket, folder: Path, kills: int, seed: int) -> None:
    drawn = random.Random(seed)
    contents = texts("c", 60)
    store = new_store(folder, bucket.root)
    store.write_manifest("c", rows(contents))
    for _ in range(kills):
        process = child(EXTRACTION, store.root, str(store.cache))
        assert process.stdout.readline() == "began\n"
        time.sleep(drawn.uniform(0.0, 1.0))
        kill(process)
        for recipe in RECIPES:
            found = values(stored_live(store, recipe))
            assert found == {name: expected_value(recipe, contents[name]) for name in found}
    report = fill(store, RECIPES, Extraction(store, RECIPES))
    reader = open_store(bucket.root, cache=str(folder / "another"))
    for recipe in RECIPES:
        whole = {name: expected_value(recipe, content) for name, content in contents.items()}
        assert values(live(reader, recipe)) == values(stored_live(store, recipe)) == whole
        history = reader.table(recipe.view).history()
        assert history.height == history["utterance_id"].n_unique(), "a row was stored twice"
        assert report.views[recipe.view].up_to_date + report.views[recipe.view].computed == len(contents)


def test_a_killed_extraction_goes_on_where_it_was(s3, tmp_path):
    kill_extractions(s3, tmp_path, 3, 3)


@pytest.mark.long
def test_twenty_killed_extractions_go_on_where_they_were(s3, tmp_path):
    kill_extractions(s3, tmp_path, 20, 4)


def test_a_server_that_is_killed_in_the_middle_is_told_and_the_rest_is_done_after_its_restart(
    swift, tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    contents = texts("c", 20)
    store = new_store(tmp_path, swift.root)
    store.write_manifest("c", rows(contents))

    def kill_server(done: int) -> None:
        if done == 12:
            swift.server.kill()

    try:
        with pytest.raises(AffectStoreError, match="does not answer") as caught:
            fill(store, [TEXT], Extraction(store, [TEXT], kill_server), flush_bytes=40)
        assert swift.server.secret not in str(caught.value)
    finally:
        swift.server.start()
    again = open_store(swift.root, cache=str(tmp_path / "cache"))
    committed = values(live(again, TEXT))
    assert len(committed) >= 9
    assert committed == {name: expected_value(TEXT, contents[name]) for name in committed}
    extraction = Extraction(again, [TEXT])
    fill(again, [TEXT], extraction)
    assert len(extraction.asked) == len(contents) - len(committed)
    assert values(live(again, TEXT)) == {
        name: expected_value(TEXT, content) for name, content in contents.items()
    }
