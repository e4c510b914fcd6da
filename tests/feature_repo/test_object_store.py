"""What is asked of an object store: whole listings, objects made once, failures in words, and no secret told."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, StoreReadError, StoreWriteError
from feature_repo.files import FileLayer
from feature_repo.object_store import refuse_secrets
from feature_repo.store import init_store, open_store
from tests.slow_proxy import proxy


def put(bucket, keys) -> None:
    client = bucket.server.client()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket.name, Key=key, Body=b"x"), keys))


def check_listing(bucket, count: int) -> None:
    names = [f"part-{number:05d}" for number in range(count)]
    put(bucket, [f"store/f/{name}" for name in names])
    put(bucket, [f"store/f/sub{number}/x" for number in range(3)])
    files = FileLayer(bucket.root)
    assert files.list_files("f") == names
    assert files.sizes("f") == dict.fromkeys(names, 1)
    assert files.list_folders("f") == ["sub0", "sub1", "sub2"]


def test_a_listing_is_whole_over_several_pages(swift):
    check_listing(swift, 2 * swift.server.page + 5)


@pytest.mark.long
def test_a_listing_is_whole_over_more_than_a_thousand_keys(moto):
    check_listing(moto, moto.server.page + 203)


def test_what_another_program_wrote_or_removed_is_seen_at_once(s3):
    files = FileLayer(s3.root)
    client = s3.server.client()
    assert files.list_files("f") == []
    for name in ("a", "b"):
        client.put_object(Bucket=s3.name, Key=f"store/f/{name}", Body=name.encode())
        assert name in files.list_files("f")
        assert files.size(f"f/{name}") == 1
    client.put_object(Bucket=s3.name, Key="store/f/a", Body=b"longer")
    assert (files.size("f/a"), files.read("f/a")) == (6, b"longer")
    client.delete_object(Bucket=s3.name, Key="store/f/a")
    assert files.list_files("f") == ["b"]
    assert not files.exists("f/a")


def test_an_upload_whose_answer_was_lost_finds_itself(moto):
    FileLayer(moto.root).create("x", b"1")
    FileLayer(moto.root).create("x", b"1")
    with pytest.raises(StoreWriteError, match="exists already"):
        FileLayer(moto.root).create("x", b"2")


def test_a_server_without_conditional_writes_is_asked_before(swift):
    FileLayer(swift.root).create("x", b"1")
    with pytest.raises(StoreWriteError, match="exists already"):
        FileLayer(swift.root).create("x", b"2")
    assert swift.objects() == {"store/x": b"1"}


def test_what_a_killed_upload_left_is_invisible_and_freed_after_the_grace_time(s3):
    client = s3.server.client()
    begun = client.create_multipart_upload(Bucket=s3.name, Key="store/f/part")
    client.upload_part(
        Bucket=s3.name, Key="store/f/part", UploadId=begun["UploadId"], PartNumber=1, Body=b"x"
    )
    elsewhere = client.create_multipart_upload(Bucket=s3.name, Key="storehouse/part")
    files = FileLayer(s3.root)
    assert files.list_files("f") == []
    assert not files.exists("f/part")
    assert files.abort_uploads(3600 if s3.server.page == 100 else 10**9) == 0  # moto's all began in 2010
    assert files.abort_uploads(0) == 1
    left = client.list_multipart_uploads(Bucket=s3.name).get("Uploads", [])
    assert [upload["UploadId"] for upload in left] == [elsewhere["UploadId"]]
    assert FileLayer(f"s3://{s3.name}").abort_uploads(0) == 1  # a store that is the whole bucket


@pytest.mark.parametrize("act", [FileLayer.read, FileLayer.list_files, FileLayer.size])
def test_a_bucket_that_is_not_there_is_told_on_reading(s3, act):
    with pytest.raises(StoreReadError, match=r"s3://no-such-bucket/store.*there is no such bucket"):
        act(FileLayer("s3://no-such-bucket/store"), "x")


def test_a_bucket_that_is_not_there_is_told_on_writing(s3):
    with pytest.raises(StoreWriteError, match="there is no such bucket"):
        FileLayer("s3://no-such-bucket/store").write("x", b"1")
    with pytest.raises(StoreReadError, match="there is no such bucket"):
        init_store("s3://no-such-bucket/store")


def test_a_wrong_key_is_told_without_it(swift, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-wrong-secret")
    with pytest.raises(StoreReadError, match="credentials") as caught:
        open_store(swift.root)
    assert "planted-wrong-secret" not in str(caught.value)


def test_no_credentials_are_told(moto, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreReadError, match="no credentials were found: set AWS_ACCESS_KEY_ID"):
        open_store(moto.root)


def test_a_server_that_is_not_there_is_told(moto, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreReadError, match=r"http://127.0.0.1:9 does not answer: check .*AWS_ENDPOINT_URL"):
        open_store(moto.root)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(moto, monkeypatch):
    with proxy(moto.server.port, "busy", refused=2) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        FileLayer(moto.root).write("x", b"1")
    assert between.connections > 2
    assert moto.objects() == {"store/x": b"1"}


def test_a_server_that_hangs_is_given_up(moto, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("FSSPEC_S3", json.dumps({"config_kwargs": {"read_timeout": 0.3}}))
    import fsspec.config

    with proxy(moto.server.port, "silent") as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        conf = {**fsspec.config.conf}
        fsspec.config.set_conf_env(conf)
        monkeypatch.setattr(fsspec.config, "conf", conf)
        with pytest.raises(StoreReadError, match="does not answer"):
            FileLayer(moto.root).read("x")


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:planted@bucket/x",
        "s3://planted@bucket/x",
        "simplecache::s3://KEY:planted@bucket/x",
        "sftp://user:planted@host/x",
        "s3://bucket/x?X-Amz-Signature=planted",
    ],
)
def test_a_url_with_a_secret_is_refused_without_repeating_it(url):
    for use in (refuse_secrets, FileLayer, open_store, init_store):
        with pytest.raises(BadInputError, match="not taken") as caught:
            use(url)
        assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3://bucket/x", "/home/me@work/what?", "abfs://box@account.dfs.core.windows.net/x"]
)
def test_other_roots_are_taken(url):
    refuse_secrets(url)


def test_commands_tell_no_secret(s3, tmp_path):
    command = [sys.executable, "-c", "import affectstore; affectstore.main()"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path.cwd()),
        "AFFECTSTORE_ROOT": s3.root,
        "AFFECTSTORE_CACHE": str(tmp_path / "cache"),
    }

    def told(*arguments: str, **changed: str) -> str:
        done = subprocess.run(
            [*command, *arguments],
            env={**environment, **changed},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout + done.stderr

    secret = s3.server.secret
    heard = told("init") + told("status") + told("status", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    heard += told("status", AFFECTSTORE_ROOT=f"s3://{s3.server.key}:{secret}@{s3.name}/store")
    assert "store ready at" in heard
    assert "does not answer" in heard
    assert "not taken" in heard
    assert secret not in heard
    for data in s3.objects().values():
        assert secret.encode() not in data
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()
