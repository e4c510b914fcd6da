"""What a failure of an object store means and what to look at, in words that hold no secret."""

import os
import re
from collections.abc import Iterator
from typing import Any

import fsspec

_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SECRET_OPTIONS = ("key", "secret", "token", "password")
_QUERY = re.compile(r"\?[^\s\"'>)]*")
_USER = re.compile(r"://[^/@\s]*@")
_WRONG_KEY = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "InvalidClientTokenId",
    "AuthorizationHeaderMalformed",
}
_REFUSED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "403", "401", "Unauthorized"}
_BUSY = {"SlowDown", "ServiceUnavailable", "503", "RequestLimitExceeded", "TooManyRequests", "Throttling"}
_SILENT = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ClientConnectorError",
    "ServerDisconnectedError",
    "FSTimeoutError",
    "ConnectionRefusedError",
    "ConnectionResetError",
}
_OWN_KEY = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def is_failure(error: BaseException) -> bool:
    """Whether the error is the server's, the network's or their library's rather than our own."""
    if isinstance(error, OSError):
        return True
    return isinstance(error, Exception) and type(error).__module__.partition(".")[0] not in {
        "builtins",
        "feature_repo",
    }


def lacks_bucket(error: BaseException) -> bool:
    """Whether the reason is that there is no such bucket or container."""
    return any(code in {"NoSuchBucket", "ContainerNotFound"} for code in _codes(error))


def reason_of(error: BaseException, fs: fsspec.AbstractFileSystem) -> str:
    """Why an operation failed, and what to look at."""
    codes = set(_codes(error))
    kinds = {type(each).__name__ for each in _chain(error)}
    if lacks_bucket(error):
        return "there is no such bucket: make it, or correct the URL"
    if codes & _WRONG_KEY:
        return f"the server does not take the credentials ({min(codes & _WRONG_KEY)}): check {_OWN_KEY}"
    if codes & _REFUSED:
        return "the server refuses it: these credentials may not do this, or they are none of this server's"
    if codes & _BUSY:
        return "the server is too busy (503) and stayed so over several attempts: try again later"
    if kinds & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
        return f"no credentials were found: set {_OWN_KEY}"
    if kinds & _SILENT or isinstance(error, TimeoutError):
        amazon = ", and AWS_ENDPOINT_URL if it is not Amazon's" if "s3" in fs.protocol else ""
        return f"{_server(fs)} does not answer: check the network{amazon}"
    if kinds & {"SSLError", "ClientConnectorCertificateError", "ClientConnectorSSLError"}:
        return f"{_server(fs)} shows no certificate that can be trusted: check its URL, and AWS_CA_BUNDLE"
    code = f" ({min(codes)})" if codes else ""
    return without_secrets(f"{getattr(error, 'strerror', None) or error or type(error).__name__}{code}", fs)


def without_secrets(text: str, fs: fsspec.AbstractFileSystem) -> str:
    """The text without queries and users of URLs, and without the file system's and the environment's secrets."""
    known = [os.environ.get(name) for name in _SECRET_VARIABLES]
    known += [getattr(fs, name, None) for name in _SECRET_OPTIONS]
    for secret in known:
        if isinstance(secret, str) and len(secret) > 3:
            text = text.replace(secret, "***")
    return _USER.sub("://***@", _QUERY.sub("", text))


def _server(fs: fsspec.AbstractFileSystem) -> str:
    options = getattr(fs, "client_kwargs", None) or {}
    endpoint = getattr(fs, "endpoint_url", None) or options.get("endpoint_url")
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return without_secrets(f"the server {endpoint}", fs) if endpoint else "the server"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        error = error.__cause__ or error.__context__
        seen += 1


def _codes(error: BaseException) -> Iterator[str]:
    for each in _chain(error):
        response: Any = getattr(each, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            if code:
                yield code
