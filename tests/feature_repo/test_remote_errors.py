"""Failures of object stores in words: each kind has its own, and none repeats a secret."""

import fsspec
import pytest

from feature_repo.errors import StoreReadError
from feature_repo.remote_errors import is_failure, lacks_bucket, reason_of, without_secrets


class Answered(Exception):
    """An error of the shape that S3's client libraries give a server's answer."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"An error occurred ({code}): {message}")
        self.response = {"Error": {"Code": code, "Message": message}}


def translated(code: str, message: str = "") -> OSError:
    """What s3fs makes of it."""
    error = OSError(message or code)
    error.__cause__ = Answered(code, message)
    return error


@pytest.fixture
def fs():
    return fsspec.filesystem("memory")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("NoSuchBucket", "no such bucket"),
        ("InvalidAccessKeyId", r"does not take the credentials \(InvalidAccessKeyId\)"),
        ("SignatureDoesNotMatch", "check AWS_ACCESS_KEY_ID"),
        ("AccessDenied", "refuses"),
        ("403", "refuses"),
        ("SlowDown", "too busy"),
        ("503", "too busy"),
        ("Strange", r"out of paper \(Strange\)"),
    ],
)
def test_each_answer_of_a_server_has_its_words(fs, code, told):
    with pytest.raises(OSError, match=told):
        raise OSError(reason_of(translated(code, "out of paper"), fs))


def test_secrets_are_taken_out_of_what_is_told(fs, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-in-environment")
    monkeypatch.setattr(fs, "secret", "planted-in-options", raising=False)
    text = "https://key:planted-user@host/b?X-Amz-Signature=planted-query planted-in-environment planted-in-options"
    told = without_secrets(text, fs)
    assert "planted" not in told
    assert "host/b" in told
    assert "planted" not in reason_of(translated("Strange", text), fs)


def test_a_bucket_is_told_from_an_object(fs):
    assert lacks_bucket(translated("NoSuchBucket"))
    assert not lacks_bucket(translated("NoSuchKey"))
    assert not lacks_bucket(FileNotFoundError("x"))


def test_our_own_errors_and_mistakes_are_no_failures_of_a_server():
    assert is_failure(OSError("disk"))
    assert is_failure(Answered("500"))
    assert not is_failure(StoreReadError("told already"))
    assert not is_failure(TypeError("a mistake"))
    assert not is_failure(KeyboardInterrupt())
