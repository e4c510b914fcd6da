"""Media digests: right ones, and no file is read without need."""

import hashlib
import os
from pathlib import Path

import fsspec
import polars as pl
import pytest

from feature_repo import media_digest
from feature_repo.manifest import conform
from feature_repo.media_digest import with_media

NONE = conform(pl.DataFrame({"utterance_id": []}, schema={"utterance_id": pl.String}), "c")


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """Grows by one with every file that is read."""
    counted: list[int] = []
    real = media_digest._digest

    def counting(read):
        counted.append(1)
        return real(read)

    monkeypatch.setattr(media_digest, "_digest", counting)
    return counted


def manifest(*uris: str | None) -> pl.DataFrame:
    ids = [f"c/{number}" for number in range(len(uris))]
    frame = pl.DataFrame({"utterance_id": ids, "media_uri": uris}, schema_overrides={"media_uri": pl.String})
    return conform(frame, "c")


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"sound" * 1000)
    return path


def test_the_digest_is_sha256_of_the_bytes(clip):
    row = with_media(manifest(str(clip)), NONE).row(0, named=True)
    assert row["media_digest"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert row["media_size"] == 5000
    assert row["media_mtime_ns"] == clip.stat().st_mtime_ns


def test_an_unchanged_file_is_not_read_again(clip, reads):
    before = with_media(manifest(str(clip)), NONE)
    assert with_media(manifest(str(clip)), before).equals(before)
    assert len(reads) == 1


@pytest.mark.parametrize("change", ["time", "size", "both"])
def test_a_touched_file_is(clip, reads, change):
    before = with_media(manifest(str(clip)), NONE)
    state = clip.stat()
    if change != "time":
        clip.write_bytes(b"other")
    later = state.st_mtime_ns + (10**9 if change != "size" else 0)
    os.utime(clip, ns=(later, later))
    after = with_media(manifest(str(clip)), before)
    assert len(reads) == 2
    assert (after["media_digest"][0] == before["media_digest"][0]) == (change == "time")


def test_a_shared_file_is_read_once(clip, reads):
    found = with_media(manifest(*[str(clip)] * 50), NONE)
    assert found["media_digest"].n_unique() == 1
    assert found["media_digest"].null_count() == 0
    assert len(reads) == 1


@pytest.mark.parametrize(
    "uri", ["/no/such/file.wav", "nothere://x/y.wav", "bad\0name.wav", "memory://absent/x.wav"]
)
def test_a_file_that_is_not_there_has_no_digest(clip, uri):
    found = with_media(manifest(uri, str(clip), None), NONE)
    assert [digest is not None for digest in found["media_digest"]] == [False, True, False]
    assert found["media_size"][0] is None


def test_a_folder_is_not_a_file(tmp_path):
    assert with_media(manifest(str(tmp_path)), NONE)["media_digest"][0] is None


def test_a_file_that_has_gone_loses_its_digest(clip):
    before = with_media(manifest(str(clip)), NONE)
    clip.unlink()
    assert with_media(manifest(str(clip)), before)["media_digest"][0] is None


def test_a_file_that_was_missing_is_read_when_it_is_there(clip, reads):
    hidden = clip.rename(clip.with_suffix(".away"))
    before = with_media(manifest(str(clip)), NONE)
    hidden.rename(clip)
    assert with_media(manifest(str(clip)), before)["media_digest"][0] is not None
    assert len(reads) == 1


def test_a_file_behind_a_url(reads):
    files = fsspec.filesystem("memory")
    files.pipe_file("/media_digest/a.wav", b"far away")
    uri = "memory://media_digest/a.wav"
    before = with_media(manifest(uri), NONE)
    assert before["media_digest"][0] == hashlib.sha256(b"far away").hexdigest()
    assert with_media(manifest(uri), before).equals(before)
    assert len(reads) == 1


def test_rows_keep_their_order_and_the_caller_hears_of_each_file(clip, tmp_path):
    heard: list[int] = []
    uris = [str(clip), None, str(tmp_path / "none.wav"), str(clip)]
    found = with_media(manifest(*uris), NONE, heard.append)
    assert found["media_uri"].to_list() == uris
    assert sum(heard) == 2
