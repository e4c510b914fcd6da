"""The S3 servers that other tests stand on: credentials are checked, and Swift keeps what it answered over a kill."""

import pytest

from tests.s3_servers import MotoServer


def test_a_bucket_takes_and_gives_objects(s3):
    client = s3.server.client()
    client.put_object(Bucket=s3.name, Key="a/x", Body=b"1")
    assert s3.objects() == {"a/x": b"1"}


def test_s3fs_finds_the_server_by_the_environment(s3):
    import fsspec

    with fsspec.open(f"s3://{s3.name}/a", "wb") as target:
        target.write(b"1")
    assert s3.objects() == {"a": b"1"}
    assert not fsspec.filesystem("s3").exists(f"s3://{s3.name}/b")


def test_swift_keeps_what_it_answered_over_a_kill_and_checks_the_key(swift):
    from botocore.exceptions import ClientError, EndpointConnectionError

    client = swift.server.client()
    client.put_object(Bucket=swift.name, Key="a", Body=b"kept")
    swift.server.kill()
    with pytest.raises(EndpointConnectionError):
        client.list_buckets()
    swift.server.start()
    assert swift.objects() == {"a": b"kept"}
    guessed = MotoServer(swift.server.folder)
    guessed.port, guessed.key = swift.server.port, swift.server.key
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        guessed.client().list_buckets()
