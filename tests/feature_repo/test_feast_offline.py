"""Feast's offline reads of a store on S3: the rows of ``pull`` and of the planted truth, and no secret anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, StoreReadError
from feature_repo.feast_config import PACKAGED, YAML_VARIABLE
from feature_repo.fill import fill
from feature_repo.historical import historical
from feature_repo.online import lookup, materialize
from feature_repo.store import Store
from tests.feature_repo.planted import RECORD, TEXT, Extraction, new_store, numbers, record, rows, texts

TEXTS = texts("c", 12)


@pytest.fixture
def local_databases(tmp_path, monkeypatch) -> Path:
    """A configuration whose registry and online store are files elsewhere."""
    path = tmp_path / "feature_store.yaml"
    path.write_text(PACKAGED.read_text().replace("${AFFECTSTORE_ROOT}/feast", str(tmp_path)))
    monkeypatch.setenv(YAML_VARIABLE, str(path))
    return path


def filled(root: str, folder: Path) -> Store:
    store = new_store(folder, root)
    store.write_manifest("c", rows(TEXTS))
    fill(store, [TEXT, RECORD], Extraction(store, [TEXT, RECORD]), flush_bytes=100)
    return store


def test_history_and_lookup_over_s3_are_what_pull_gives(s3, tmp_path, local_databases):
    store = filled(s3.root, tmp_path)
    ids = list(TEXTS)
    pulled = store.pull({"text": TEXT.view}, ids=ids)
    found = historical(store, [TEXT.view], ids[::-1])
    assert found["utterance_id"].to_list() == ids[::-1]
    assert found["text"].to_list() == pulled.numpy()["text"][::-1].tolist()
    assert found["text"].to_list() == [numbers(TEXT, TEXTS[name]).tolist() for name in ids[::-1]]
    words = historical(store, [RECORD.view], ids[:2])
    assert words["transcript_words"].to_list() == [record(TEXTS[name])["words"] for name in ids[:2]]
    assert materialize(store).rows[TEXT.view] == len(ids)
    assert lookup(store, [TEXT.view], ids)[TEXT.view].to_list() == pulled.numpy()["text"].tolist()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert s3.server.secret.encode() not in path.read_bytes(), path
    for key, data in s3.objects().items():
        assert s3.server.secret.encode() not in data, key


def test_rows_written_since_the_last_read_are_seen(moto, tmp_path, local_databases):
    store = filled(moto.root, tmp_path)
    before = historical(store, [TEXT.view], ["c/0000"])["text"].to_list()
    store.write_manifest("c", rows({**TEXTS, "c/0000": "another"}))
    fill(store, [TEXT, RECORD], Extraction(store, [TEXT, RECORD]))
    after = historical(store, [TEXT.view], ["c/0000"])["text"].to_list()
    assert (before, after) == (
        [numbers(TEXT, TEXTS["c/0000"]).tolist()],
        [numbers(TEXT, "another").tolist()],
    )


@pytest.mark.long
def test_the_plain_feast_commands_read_s3(moto, tmp_path, local_databases):
    store = filled(moto.root, tmp_path)
    environment = {**os.environ, "AFFECTSTORE_ROOT": moto.root, "PYTHONPATH": str(Path.cwd())}
    for arguments in (["apply"], ["materialize", "2020-01-01T00:00:00", "2100-01-01T00:00:00"]):
        done = subprocess.run(
            [sys.executable, "-m", "feast.cli.cli", *arguments],
            cwd=Path.cwd() / "feature_repo",
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert moto.server.secret not in done.stdout + done.stderr
    found = lookup(store, [TEXT.view], ["c/0003"])[TEXT.view].to_list()
    assert found == [numbers(TEXT, TEXTS["c/0003"]).tolist()]


def test_a_source_that_holds_credentials_is_refused():
    from feast import FileSource
    from feast.data_format import ParquetFormat

    from feature_repo.feast_offline import _table

    with pytest.raises(BadInputError) as caught:
        _table(FileSource(path="s3://KEY:planted-secret@b/x", file_format=ParquetFormat()), ".")
    assert "planted-secret" not in str(caught.value)


def test_a_bucket_that_is_gone_is_told(moto):
    from feast import FileSource
    from feast.data_format import ParquetFormat

    from feature_repo.feast_offline import _table

    with pytest.raises(StoreReadError, match="no such bucket"):
        _table(FileSource(path="s3://nobody/x", file_format=ParquetFormat()), ".")
