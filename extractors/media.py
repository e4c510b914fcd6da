"""A file of media, opened once, or the reason why it can't be used (DESIGN 8.2)."""

from pathlib import Path
from typing import Any

from feature_repo.outcome import Fact, Fault

# Containers that state an exact duration, so that a missing end can be told; mp3 only guesses.
EXACT_FORMATS = frozenset({"wav", "w64", "aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2"})
LOST_S = 0.25  # a container may round its duration up by a packet or two, or pad the last one
LONGEST_S = 3660.0  # an hour and what padding adds: an utterance never is, and memory has an end


class MediaError(Exception):
    """Why a file can't be used: the name of the class is the reason in the fault ledger.

    Args:
        message: names the file.
        facts: what is known of the media.
    """

    stage = "media"

    def __init__(self, message: str, **facts: Fact) -> None:
        super().__init__(message)
        self.facts = facts

    def fault(self) -> Fault:
        """The fault that tells of it."""
        return Fault(self.stage, type(self).__name__, str(self), dict(self.facts))


class MissingMedia(MediaError):
    """The file is not there or can't be read."""


class EmptyFile(MediaError):
    """The file has no byte."""


class NoAudioTrack(MediaError):
    """The file has no sound track."""


class EmptyAudio(MediaError):
    """No sample lies in the file or in the span."""


class NoVideoTrack(MediaError):
    """The file has no picture track; the cover of a song is none."""


class NoFrames(MediaError):
    """No picture lies in the file or in the span."""


class TooLong(MediaError):
    """More sound or more pictures than an utterance can have."""


class SilentAudio(MediaError):
    """The sound is silence."""


class TooShort(MediaError):
    """Less sound than the model needs."""


class Undecodable(MediaError):
    """The decoder refused the file."""

    stage = "decode"


class TruncatedMedia(Undecodable):
    """The file ends before the sound or the pictures that its header announces."""


class NotFinite(Undecodable):
    """The file holds NaN or infinite samples."""


def open_media(uri: str, facts: dict[str, Fact]) -> Any:
    """The file as PyAV's input container, which the caller closes.

    Args:
        uri: a path, a ``file://`` or any other fsspec URL.
        facts: gains the file's size where that is known.

    Raises:
        MissingMedia: it is not there, or may not be read.
        EmptyFile: it has no byte.
        Undecodable: it is neither sound nor video nor a picture.
    """
    import av  # loads ffmpeg

    source = _source(uri, facts)
    try:
        return av.open(source, metadata_errors="replace")
    except FileNotFoundError as error:
        raise MissingMedia(f"{uri}: no such file", **facts) from error
    except PermissionError as error:
        raise MissingMedia(f"{uri}: may not be read", **facts) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise Undecodable(f"{uri}: not a readable audio or video file ({why(error)})", **facts) from error


def _source(uri: str, facts: dict[str, Fact]) -> Any:
    if "://" not in uri or uri.startswith("file://"):
        path = Path(uri.removeprefix("file://"))
        if not path.is_file():
            raise MissingMedia(f"{uri}: no such file", **facts)
        facts["size"] = path.stat().st_size
        if not facts["size"]:
            raise EmptyFile(f"{uri}: the file is empty", **facts)
        return str(path)
    import fsspec  # only for stores of media elsewhere

    try:
        return fsspec.open(uri, "rb").open()
    except OSError as error:
        raise MissingMedia(f"{uri}: can't be opened ({error})", **facts) from error


def why(error: BaseException) -> str:
    """The reason that ffmpeg gives, without its decoration."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
