"""Decoding ahead of the models: clips in order, side by side, as many as memory allows (DESIGN section 7)."""

import os
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from extractors.clip import Clip, Watcher, decode_clip
from extractors.held_bytes import held_bytes
from extractors.sound import Sound
from feature_repo.outcome import Fault

_NEAR_AHEAD = (
    4  # clips a thread that are decoded ahead whatever their size: the models never wait for short ones
)
_FAR_AHEAD = 64  # and no more than these, however small: a file of nothing still takes a place


@dataclass(frozen=True)
class ClipRequest:
    """What is wanted of one utterance's media.

    Attributes:
        utterance_id: whose media it is.
        uri: where it is.
        start_s: seconds from the file's start; None is the start.
        end_s: seconds from the file's start; None is the end.
        sound: whether the sound is wanted.
        watchers: who looks at frames.
    """

    utterance_id: str
    uri: str
    start_s: float | None
    end_s: float | None
    sound: bool
    watchers: Sequence[Watcher]


def decode_ahead(
    requests: Sequence[ClipRequest], threads: int, ahead_bytes: int
) -> Generator[tuple[ClipRequest, Clip], None, None]:
    """The clips in order of the requests, each decoded once, some of them ahead of being asked for.

    Four clips a thread are decoded ahead in any case, and more while what they hold stays below a limit. Closing
    the generator ends the decodes that are under way.

    Args:
        requests: what is wanted.
        threads: files decoded side by side.
        ahead_bytes: what decoded clips may hold, by the mean of those so far.
    """
    if not requests:
        return
    cores = os.cpu_count() or 1
    within = max(1, cores // min(threads, len(requests)))  # few files leave cores to each
    stop = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    ahead: deque[tuple[ClipRequest, Future[Clip]]] = deque()
    given, held = 0, 0
    waiting = iter(requests)
    try:
        for _ in requests:
            typical = held / given if given else float("inf")
            while len(ahead) <= _NEAR_AHEAD * threads or (
                len(ahead) < _FAR_AHEAD * threads and (len(ahead) + 1) * typical <= ahead_bytes
            ):
                request = next(waiting, None)
                if request is None:
                    break
                ahead.append((request, pool.submit(_decode, request, within, stop)))
            request, future = ahead.popleft()
            clip = future.result()
            del future
            given, held = given + 1, held + clip_bytes(clip)
            yield request, clip
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def clip_bytes(clip: Clip) -> int:
    """Bytes of a clip's sound and of what was seen of it."""
    sound = clip.sound.samples.nbytes if isinstance(clip.sound, Sound) else 0
    return sound + sum(map(held_bytes, clip.seen))


def _decode(request: ClipRequest, threads: int, stop: threading.Event) -> Clip:
    try:
        return decode_clip(
            request.uri,
            request.start_s,
            request.end_s,
            sound=request.sound,
            watchers=request.watchers,
            threads=threads,
            stop=stop,
        )
    except Exception as error:  # one file must not end the run
        fault = Fault.from_exception(
            "decode", error, path=request.uri, start_s=request.start_s, end_s=request.end_s
        )
        return Clip(fault if request.sound else None, [fault] * len(request.watchers), dict(fault.facts))
