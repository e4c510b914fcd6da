"""Manifests in the store: counts of what changed, generations, and damage."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow.parquet as pq
import pytest

from feature_repo.errors import BadInputError, StoreReadError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.manifest_store import ManifestStore
from tests.feature_repo.planted import memory_root, rows


@pytest.fixture(params=["folder", "memory"])
def manifests(request, tmp_path) -> ManifestStore:
    root = str(tmp_path / "store") if request.param == "folder" else memory_root()
    return ManifestStore(FileLayer(root))


def test_counts_of_what_changed(manifests, tmp_path):
    clip = tmp_path / "a.wav"
    clip.write_bytes(b"a")
    first = manifests.replace("c", rows({"c/1": "one", "c/2": "two", "c/3": "three"}))
    assert (first.total, first.added, first.changed, first.removed, first.generation) == (3, 3, 0, 0, 1)
    media = [str(clip), str(tmp_path / "none.wav"), None]
    second = manifests.replace("c", rows({"c/1": "one", "c/2": "TWO", "c/4": "four"}, media_uri=media))
    assert (second.total, second.added, second.changed, second.removed) == (3, 1, 2, 1)
    assert (second.missing_media, second.generation) == (1, 2)
    assert manifests.read(["c"])["text"].to_list() == ["one", "TWO", "four"]


def test_the_same_again_is_no_new_generation(manifests):
    for _ in range(3):
        report = manifests.replace("c", rows({"c/1": "one", "c/2": None}))
    assert (report.generation, report.changed, manifests.generation("c")) == (1, 0, 1)


def test_a_file_replaced_behind_the_same_rows_is_a_change(manifests, tmp_path):
    clip = tmp_path / "a.wav"
    clip.write_bytes(b"broken")
    same = rows({"c/1": "one"}, media_uri=[str(clip)])
    manifests.replace("c", same)
    key = manifests.read()["media_key"][0]
    clip.write_bytes(b"mended")
    os.utime(clip, ns=(1, 1))
    assert manifests.replace("c", same).changed == 1
    assert manifests.read()["media_key"][0] != key


def test_corpora_are_read_together_apart_and_once(manifests):
    manifests.replace("b", rows({"b/1": "x"}))
    manifests.replace("a", rows({"a/1": "y", "a/2": "z"}))
    assert manifests.corpora() == ["a", "b"]
    assert manifests.read()["utterance_id"].to_list() == ["a/1", "a/2", "b/1"]
    assert manifests.read(["b", "b"]).height == 1
    assert manifests.read([]).is_empty()
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'meld'; allowed: a, b"):
        manifests.read(["meld"])


def test_nothing_ingested_is_an_empty_manifest(manifests):
    assert manifests.read().is_empty()
    assert manifests.read().columns[0] == "utterance_id"


def test_refused_rows_leave_the_manifest_as_it_was(manifests):
    manifests.replace("c", rows({"c/1": "one"}))
    with pytest.raises(BadInputError):
        manifests.replace("c", pl.DataFrame({"utterance_id": ["c/1", "c/1"]}))
    assert manifests.read()["text"].to_list() == ["one"]


def test_a_forgotten_utterance_stays_out(manifests):
    manifests.replace("c", rows({"c/1": "one", "c/2": "two"}))
    manifests.forget(["c/1"])
    assert manifests.read()["utterance_id"].to_list() == ["c/2"]
    report = manifests.replace("c", rows({"c/1": "one", "c/2": "two"}))
    assert (report.total, report.forgotten, report.added) == (1, 1, 0)


def without_pictures(manifests) -> None:
    """The corpus's manifest as it was written before it had the column."""
    path = "manifest/c.parquet"
    data = manifests.files.read(path)
    told = pq.read_metadata(io.BytesIO(data)).metadata[b"affectstore.generation"].decode()
    sink = io.BytesIO()
    frame = pl.read_parquet(io.BytesIO(data)).drop("picture")
    frame.write_parquet(sink, metadata={"affectstore.generation": told})
    manifests.files.write(path, sink.getvalue())


def test_a_manifest_of_an_earlier_version_is_read_and_the_same_again_is_no_change(manifests):
    manifests.replace("c", rows({"c/1": "one"}))
    without_pictures(manifests)
    assert manifests.read()["picture"].to_list() == [None]
    report = manifests.replace("c", rows({"c/1": "one"}))
    assert (report.changed, report.generation) == (0, 1)
    report = manifests.replace("c", rows({"c/1": "one"}).with_columns(picture=pl.lit("left")))
    assert (report.changed, report.generation) == (1, 2)


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_a_damaged_manifest_is_named(manifests, cut):
    manifests.replace("c", rows({"c/1": "one"}))
    data = manifests.files.read("manifest/c.parquet")
    manifests.files.write("manifest/c.parquet", data[:cut])
    with pytest.raises(BadInputError, match=r"c\.parquet is damaged"):
        manifests.read()


def test_a_disk_that_fails_is_not_taken_for_damage(manifests):
    manifests.replace("c", rows({"c/1": "one"}))

    def fail(moment, operation, path):
        if operation == "read":
            raise OSError(5, "Input/output error")

    manifests.files.hook = fail
    with pytest.raises(StoreReadError, match=r"cannot read .*c\.parquet: Input/output error"):
        manifests.read()


def test_two_ingests_at_once_count_two_generations(manifests):
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda n: manifests.replace("c", rows({"c/1": f"text {n}"})), range(8)))
    assert sorted(report.generation for report in reports) == list(range(1, 9))
