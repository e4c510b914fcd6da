"""One clip, decoded once: its sound, and its sampled frames shown to everybody who wants to look (DESIGN section 7)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from extractors.frame_extractor import FrameExtractor
from extractors.media import MediaError, NoAudioTrack, NoVideoTrack, Undecodable, open_media, why
from extractors.pictures import PictureTrack, Wish
from extractors.protocol import Frame
from extractors.sampling import Sampling, frame_times
from extractors.sound import Sound, SoundTrack
from feature_repo.outcome import Fact, Fault


class Watcher(Protocol):
    """Who looks at sampled frames while they are decoded; every ``FrameExtractor`` is one."""

    @property
    def sampling(self) -> Sampling:
        """Which frames of a clip it looks at."""

    def look(self, frames: Sequence[Frame]) -> list[Any]:
        """What is kept of each frame; watchers share the images, so they are only read."""


@dataclass(frozen=True)
class Clip:
    """What one decode gave.

    Attributes:
        sound: the sound, why there is none, or None when it was not asked for.
        seen: by watcher, what it kept of each frame in order of time, or why there is nothing. A still image has one
            frame, and none for a watcher of offsets.
        facts: what is known of the media: path, size, channels, rate, duration, width, height, frame rate.
    """

    sound: Sound | Fault | None
    seen: list[tuple[Any, ...] | Fault]
    facts: dict[str, Fact] = field(default_factory=dict)


def decode_clip(
    uri: str,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    sound: bool = True,
    watchers: Sequence[Watcher] = (),
    threads: int = 1,
    stop: threading.Event | None = None,
) -> Clip:
    """Decode a file or a span of it once, in order, for everybody who wants a part of it.

    What is wrong with the sound spoils no frames, what is wrong with the pictures no sound, and what goes wrong when
    a watcher looks concerns that watcher alone. Memory holds the sound at 16 kHz, one packet, and a few frames.

    Args:
        uri: a path, a ``file://`` or any other fsspec URL; sound, video or a still image.
        start_s: seconds from the file's start; None is the start.
        end_s: seconds from the file's start; None is the end.
        sound: whether the sound is wanted.
        watchers: who looks at frames, each at those of its sampling.
        threads: of the picture's decoder; more than one pays where few files are decoded side by side.
        stop: ends the decode early once it is set; what comes back then says so.
    """
    wishes = [wish_of(watcher) for watcher in watchers]
    facts: dict[str, Fact] = {"path": uri, "start_s": start_s, "end_s": end_s}
    decoded = _decode(uri, start_s, end_s, sound, wishes, threads, facts, stop)
    heard: Sound | Fault | None = None
    if sound:
        heard = decoded.sound if isinstance(decoded.sound, Sound) else _fault(decoded.sound, facts)
    seen: list[tuple[Any, ...] | Fault] = []
    for wish in wishes:
        if isinstance(wish.seen, Fault):
            seen.append(wish.seen)
        else:
            seen.append(tuple(wish.seen) if decoded.pictures is None else _fault(decoded.pictures, facts))
    return Clip(heard, seen, facts)


def decode_audio(uri: str, start_s: float | None = None, end_s: float | None = None) -> Sound:
    """The sound of a file or of a span of it, as :func:`decode_clip` gives it.

    Args:
        uri: a path, a ``file://`` or any other fsspec URL.
        start_s: seconds from the file's start; None is the start.
        end_s: seconds from the file's start; None is the end.

    Raises:
        MediaError: a subclass that tells the reason, with the media's facts.
    """
    decoded = _decode(uri, start_s, end_s, True, (), 1, {"path": uri, "start_s": start_s, "end_s": end_s})
    if isinstance(decoded.sound, Sound):
        return decoded.sound
    raise decoded.sound


def show(
    uri: str, start_s: float | None, end_s: float | None, wishes: Sequence[Wish], threads: int = 1
) -> dict[str, Fact]:
    """Fulfil wishes for frames; the facts of the media come back.

    Raises:
        MediaError: a subclass that tells why there are no frames.
    """
    facts: dict[str, Fact] = {"path": uri, "start_s": start_s, "end_s": end_s}
    decoded = _decode(uri, start_s, end_s, False, wishes, threads, facts)
    if decoded.pictures is not None:
        raise decoded.pictures
    return facts


def wish_of(watcher: Watcher) -> Wish:
    """The watcher's frames, as its sampling says."""
    sampling = watcher.sampling
    return Wish(
        lambda duration: frame_times(duration, sampling),
        watcher.look,
        settle=watcher.settle if isinstance(watcher, FrameExtractor) else None,
        stills=sampling == "seconds",
    )


@dataclass
class _Decoded:
    """The sound or what went wrong with it, and what went wrong with the pictures."""

    sound: Any = None
    pictures: Exception | None = None


def _decode(
    uri: str,
    start_s: float | None,
    end_s: float | None,
    sound: bool,
    wishes: Sequence[Wish],
    threads: int,
    facts: dict[str, Fact],
    stop: threading.Event | None = None,
) -> _Decoded:
    """One open, one loop over the packets, each track's errors its own."""
    decoded = _Decoded()
    try:
        container = open_media(uri, facts)
    except MediaError as error:
        return _Decoded(error, error)
    with container:
        heard: SoundTrack | None = None
        shown: PictureTrack | None = None
        if sound:
            try:
                heard = SoundTrack(
                    container, _sound_stream(container, uri, facts), uri, start_s, end_s, facts
                )
                heard.stream.thread_type = "NONE"  # files are decoded side by side; threads in one only cost
            except Exception as error:
                decoded.sound = _told(error, uri, facts)
        if wishes:
            try:
                stream = _picture_stream(container, uri, facts)
                shown = PictureTrack(container, stream, uri, start_s, end_s, wishes, facts)
                stream.thread_type = "NONE" if threads == 1 else "AUTO"
                stream.codec_context.thread_count = threads
            except Exception as error:
                decoded.pictures = _told(error, uri, facts)
        _read(container, heard, shown, decoded, uri, facts, stop)
    return decoded


def _read(
    container: Any,
    heard: SoundTrack | None,
    shown: PictureTrack | None,
    decoded: _Decoded,
    uri: str,
    facts: dict[str, Fact],
    stop: threading.Event | None,
) -> None:
    tracks: dict[int, SoundTrack | PictureTrack] = {
        track.stream.index: track for track in (heard, shown) if track is not None
    }

    def fail(track: SoundTrack | PictureTrack, error: Exception) -> None:
        tracks.pop(track.stream.index, None)
        if isinstance(track, SoundTrack):
            decoded.sound = _told(error, uri, facts)
        else:
            decoded.pictures = _told(error, uri, facts)

    try:
        # The picture's keyframe before the span; without pictures the packet of the sound before it.
        leading = shown or heard
        place = None if leading is None else leading.seek_to()
        if leading is not None and place is not None:
            container.seek(place, stream=leading.stream, backward=True)
        streams = [track.stream for track in tracks.values()]
        for packet in container.demux(*streams) if streams else ():
            if stop is not None and stop.is_set():
                raise InterruptedError(f"{uri}: the run ended while it was decoded")
            track = tracks.get(packet.stream.index)
            if track is None or track.done:
                continue
            try:
                for frame in packet.decode():
                    track.add(frame)
                    if track.done:
                        break
            except Exception as error:
                fail(track, error)
            if all(track.done for track in tracks.values()):
                break
    except Exception as error:  # the container itself: whoever is not done lacks the rest
        for track in [track for track in tracks.values() if not track.done]:
            fail(track, error)
    for track in list(tracks.values()):
        try:
            finished = track.finish()
            if isinstance(track, SoundTrack):
                decoded.sound = finished
        except Exception as error:
            fail(track, error)


def _sound_stream(container: Any, uri: str, facts: dict[str, Fact]) -> Any:
    if not container.streams.audio:
        raise NoAudioTrack(f"{uri}: has no audio track", **facts)
    return container.streams.audio[0]


def _picture_stream(container: Any, uri: str, facts: dict[str, Fact]) -> Any:
    from av.stream import Disposition  # loads ffmpeg

    no_video = Disposition.attached_pic | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & no_video:
            return stream
    cover = " but a cover picture" if container.streams.video else ""
    raise NoVideoTrack(f"{uri}: has no video track{cover}", **facts)


def _told(error: Exception, uri: str, facts: dict[str, Fact]) -> Exception:
    """What ffmpeg refuses is undecodable; any other error stays itself."""
    from av import FFmpegError  # loads ffmpeg

    if isinstance(error, FFmpegError | ValueError):
        told = Undecodable(f"{uri}: decoding failed ({why(error)})", **facts)
        told.__cause__ = error
        return told
    return error


def _fault(error: Exception, facts: dict[str, Fact]) -> Fault:
    if isinstance(error, MediaError):
        return error.fault()
    return Fault.from_exception("decode", error, **facts)
