"""Object stores: opened uncached, without a secret in the URL; objects made once; what killed uploads leave."""

import contextlib
import datetime
import errno
import io
import re
from typing import Any, cast

import fsspec
from fsspec.core import url_to_fs

from feature_repo.errors import BadInputError

_S3 = ("s3://", "s3a://")
_USER = re.compile(r"://([^/@]*)@")
# Bytes: to open a small object and read its end and its columns would be three requests or more.
_WHOLE = 2**20
# Bytes read at once of a larger one: its small columns come in one request, a large column alone.
_BLOCK = 4 * 2**20


def open_filesystem(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a root, and the root as it knows it.

    Raises:
        BadInputError: the URL holds a user's name or a query, no program reads its kind, or a package is missing.
    """
    refuse_secrets(root)
    options: dict[str, Any] = {}
    if root.startswith(_S3):
        # An instance of its own keeps no listing that another one began before a write of this one.
        options = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        fs, base = cast("tuple[fsspec.AbstractFileSystem, str]", url_to_fs(root, **options))
    except ImportError as error:
        needed = "pip install 'affectstore[s3]'" if root.startswith(_S3) else str(error)
        raise BadInputError(f"{root} can't be read without another package: {needed}") from error
    except ValueError as error:
        raise BadInputError(f"{root} names no place: {error}") from error
    return fs, base.rstrip("/")


def refuse_secrets(url: str) -> None:
    """See that a URL carries no credentials: it is written into recipes, registries and messages.

    Raises:
        BadInputError: it does; the message repeats nothing of them.
    """
    if "://" not in url:
        return
    kind = url.partition("://")[0]
    user = _USER.search(url)
    # Azure's URLs name the container before the @.
    if user and (":" in user[1] or not kind.endswith(("abfs", "abfss"))):
        raise BadInputError(
            f"credentials in a {kind}:// URL are not taken, since URLs are stored and shown: leave them out, and give "
            "them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as AWS_PROFILE, or as FSSPEC_<KIND>_<OPTION>"
        )
    if "?" in url:
        raise BadInputError(
            f"a query in a {kind}:// URL is not taken, since URLs are stored and shown, and it may hold a signature: "
            "leave out what begins with the question mark"
        )


def is_private(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether no other process sees these files."""
    return "memory" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def open_object(fs: fsspec.AbstractFileSystem, path: str, size: int | None = None) -> Any:
    """An object opened for random reads: a small one fetched whole, of another little more than what is read."""
    if size is not None and size <= _WHOLE:
        return io.BytesIO(fs.cat_file(path))
    return fs.open(path, "rb", block_size=_BLOCK)


def create_object(fs: fsspec.AbstractFileSystem, path: str, data: bytes) -> bool:
    """Write an object whose name is new, by a conditional write where the server has that; False: it is taken.

    Raises:
        OSError: and whatever else the file system raises when the upload fails.
    """
    try:
        fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        # An upload whose answer was lost is sent again, and finds itself.
        return bool(fs.size(path) == len(data) and fs.cat_file(path) == data)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):  # what a server answers that knows no conditions
            raise
        if fs.exists(path):
            return False
        fs.pipe_file(path, data)
    return True


def abort_uploads(fs: fsspec.AbstractFileSystem, folder: str, grace_s: float) -> int:
    """Free what uploads in several pieces hold that were begun below the folder longer than that ago; how many.

    No listing shows them, and an S3 server keeps, and charges for, their pieces until somebody aborts them. Where the
    file system knows no such thing, or the credentials don't allow it, nothing is done.
    """
    if "s3" not in fs.protocol:
        return 0
    bucket, _, folder = folder.partition("/")
    below = {"Prefix": f"{folder}/"} if folder else {}  # the store may be a whole bucket
    now = datetime.datetime.now(datetime.UTC)
    aborted = 0
    marker: dict[str, str] = {}
    with contextlib.suppress(OSError):
        while True:
            page = fs.call_s3("list_multipart_uploads", Bucket=bucket, **below, **marker)
            for upload in page.get("Uploads") or ():
                # Swift rounds the time up to the next second: what is from the future is new.
                if max(0.0, (now - upload["Initiated"]).total_seconds()) >= grace_s:
                    fs.call_s3(
                        "abort_multipart_upload",
                        Bucket=bucket,
                        Key=upload["Key"],
                        UploadId=upload["UploadId"],
                    )
                    aborted += 1
            if not page.get("IsTruncated"):
                break
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    return aborted
