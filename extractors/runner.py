"""The runner: computes what a store lacks, each clip decoded once for everybody who wants it (DESIGN section 7)."""

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata

import numpy as np
import polars as pl

from extractors.batching import by_cost
from extractors.block import Block, BlockClip
from extractors.clip import Clip
from extractors.decoding import ClipRequest, decode_ahead
from extractors.frame_extractor import FrameExtractor
from extractors.held_bytes import held_bytes
from extractors.loading import load
from extractors.protocol import SAMPLE_RATE, Extractor, Item, Outputs
from extractors.settings import ModelSettings, settings_as_texts
from extractors.sound import Sound
from extractors.throughput import remember
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Outcome
from feature_repo.recipe import Recipe

# 20 minutes of sound are 77 MB; utterances of like length meet in a window that large.
WINDOW_S = 1200.0
WINDOW_BYTES = 256 << 20  # of what extractors of frames keep of them, over the clips of a window
# Also the clips of a block: what meets in a batch is the same whatever engine computes it.
WINDOW_CLIPS = 128
BLOCK_ITEMS = 512  # texts that one process computes before it gives anything; a whole number of batches
_SOUND_BYTES = SAMPLE_RATE * 4  # a second
_LIBRARIES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "librosa",
    "scikit-learn",
    "resemblyzer",
    "av",
    "soxr",
    "opencv-contrib-python-headless",
    "onnxruntime",
    "deepface",
    "ultralytics",
    "scikit-image",
    "faster-whisper",
)

Yielded = tuple[str, str, Outcome]


@dataclass
class _Work:
    """What one extractor still has to do: its outputs' views, and the outputs that each utterance lacks."""

    extractor: Extractor
    views: dict[str, str]
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    done: int = 0


class Runner:
    """Computes missing features; :meth:`compute` is what ``feature_repo.fill.fill`` wants.

    Args:
        extractors: models not loaded; each is loaded at its first missing utterance.
        manifest: rows of at least the utterances that may be missing, and of their dialogues.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        decode_threads: files decoded side by side, ahead of the models.
        window_s: seconds of decoded sound that meet in batches; about as much again is decoded ahead.
        window_bytes: bytes of what was seen of frames that meet in batches.
        heard: gives the (utterance_id, text) of a recipe of transcripts by its fingerprint, for extractors of text that
            read what was heard.
        on_load: told an extractor's name when its model is loaded.

    Attributes:
        loaded: names of the extractors whose models were loaded.
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        manifest: pl.DataFrame,
        *,
        device: str = "auto",
        decode_threads: int | None = None,
        window_s: float = WINDOW_S,
        window_bytes: int = WINDOW_BYTES,
        heard: Callable[[str], pl.DataFrame] | None = None,
        on_load: Callable[[str], None] | None = None,
    ) -> None:
        self.extractors = extractors
        self.manifest = manifest
        self.device = device
        self.decode_threads = decode_threads or min(8, os.cpu_count() or 1)
        self.window_s = window_s
        self.window_bytes = window_bytes
        self.loaded: list[str] = []
        self._heard, self._on_load = heard, on_load
        self._ready: list[Extractor] = []

    def recipes(self) -> list[Recipe]:
        """The recipes of all extractors, each once."""
        by_view = {
            recipe.view: recipe for extractor in self.extractors for recipe in extractor.recipes().values()
        }
        return list(by_view.values())

    def provenance(self) -> dict[str, dict[str, str]]:
        """By view: model, settings, library versions and device; told in the store, never compared."""
        versions = {}
        for library in _LIBRARIES:
            try:
                versions[library] = metadata.version(library)
            except metadata.PackageNotFoundError:
                continue
        told = {}
        for extractor in self.extractors:
            settings = extractor.settings
            model = {"model": settings.model} if isinstance(settings, ModelSettings) else {}
            chosen = json.dumps(settings_as_texts(settings), sort_keys=True)
            for recipe in extractor.recipes().values():
                told[recipe.view] = {**model, "settings": chosen, "device": self.device, **versions}
        return told

    def compute(self, missing: Mapping[str, Sequence[str]]) -> Generator[Yielded, None, None]:
        """Yields (view, utterance id, outcome) once for each missing pair, as it is finished.

        Args:
            missing: view to utterance ids.

        Raises:
            BadInputError: a model could not be loaded, a package is not installed.
        """
        works = self._works(missing)
        for work in works:
            if work.extractor.needs in ("text", "nothing"):
                self._load(work.extractor)
                for items in self._items(work):
                    yield from self._batches(work, items)
        media = _of_media(works)
        if media:
            yield from self._media(media, self._requests(media, self._clips(media).iter_rows()))
        for work in works:
            remember(rate_key(work.extractor, self.device), work.done, work.seconds)

    def blocks(self, missing: Mapping[str, Sequence[str]]) -> Iterator[Block]:
        """The missing pairs in pieces that other processes compute, each with what it reads; no model is loaded.

        Nothing that is computed together is torn apart: the batches of all blocks are those of :meth:`compute`.

        Args:
            missing: view to utterance ids.
        """
        works = self._works(missing)
        for place, extractor in enumerate(self.extractors):
            for work in works:
                if work.extractor is extractor and extractor.needs in ("text", "nothing"):
                    for items in self._items(work):
                        texts = tuple((item.utterance_id, item.text, item.language) for item in items)
                        yield Block(_missing([work], [text[0] for text in texts]), place, texts)
        media = _of_media(works)
        if media:
            for clips in self._clips(media).iter_slices(WINDOW_CLIPS):
                yield Block(_missing(media, clips["utterance_id"].to_list()), clips=tuple(clips.iter_rows()))

    def compute_block(self, block: Block) -> Iterator[Yielded]:
        """Yields (view, utterance id, outcome) for each missing pair of a block of :meth:`blocks`.

        The runner's manifest is not asked: the block says what is read.

        Raises:
            BadInputError: a model could not be loaded, a package is not installed.
        """
        if block.extractor is None:
            works = self._works(block.missing)
            yield from self._media(works, self._requests(works, block.clips))
            return
        work = _work(self.extractors[block.extractor], block.missing)
        self._load(work.extractor)
        yield from self._batches(
            work, [Item(name, text, None, language) for name, text, language in block.texts]
        )

    def _works(self, missing: Mapping[str, Sequence[str]]) -> list[_Work]:
        return [work for extractor in self.extractors if (work := _work(extractor, missing)).lacking]

    def _items(self, work: _Work) -> Iterator[list[Item]]:
        """What an extractor of text, or of nothing, still has to read: costliest first, some batches at a time."""
        extractor = work.extractor
        rows = self._rows([work], "utterance_id", "language")
        if extractor.needs == "text":
            # All rows, since what is read for one may stand in others of its dialogue.
            said = self._said(extractor)
            read = said.select("utterance_id", text=extractor.texts(said))
            if said is self.manifest:
                own = rows.join(said.select("utterance_id", "text"), on="utterance_id", maintain_order="left")
                _refuse_without(own, "text")
            rows = rows.join(read, on="utterance_id", how="left", maintain_order="left")
        else:
            rows = rows.with_columns(text=pl.lit("", pl.String))
        rows = rows.select("utterance_id", pl.col("text").fill_null(""), "language")
        costs = [
            extractor.cost(Item(name, text, None, language)) for name, text, language in rows.iter_rows()
        ]
        rows = rows[np.argsort(-np.array(costs), kind="stable")]
        batch = extractor.settings.batch_size
        for piece in rows.iter_slices(batch * max(1, BLOCK_ITEMS // batch)):
            yield [Item(name, text, None, language) for name, text, language in piece.iter_rows()]

    def _said(self, extractor: Extractor) -> pl.DataFrame:
        """The manifest with the words that the extractor reads: the corpus's, or what was heard."""
        inputs = {name for recipe in extractor.recipes().values() for name in recipe.inputs}
        if not inputs:
            return self.manifest
        if self._heard is None:
            raise BadInputError(f"extractor {extractor.name!r} reads transcripts, and there are none here")
        words = self._heard(*inputs)
        return self.manifest.drop("text").join(words, on="utterance_id", how="left", maintain_order="left")

    def _media(self, works: Sequence[_Work], requests: Sequence[ClipRequest]) -> Iterator[Yielded]:
        for work in works:
            self._load(work.extractor)
        watched = any(request.watchers for request in requests)
        ahead_bytes = round(self.window_s * _SOUND_BYTES) + (self.window_bytes if watched else 0)
        window: list[tuple[ClipRequest, Clip]] = []
        seconds, seen = 0.0, 0
        with contextlib.closing(decode_ahead(requests, self.decode_threads, ahead_bytes)) as clips:
            waited = time.perf_counter()
            for place, (request, clip) in enumerate(clips, 1):
                for work in works:
                    work.seconds += (time.perf_counter() - waited) / len(works)
                window.append((request, clip))
                seconds += len(clip.sound.samples) / SAMPLE_RATE if isinstance(clip.sound, Sound) else 0.0
                seen += sum(map(held_bytes, clip.seen))
                if seconds >= self.window_s or seen >= self.window_bytes or place % WINDOW_CLIPS == 0:
                    yield from self._window(works, window)
                    window, seconds, seen = [], 0.0, 0
                waited = time.perf_counter()
        yield from self._window(works, window)

    def _clips(self, works: Sequence[_Work]) -> pl.DataFrame:
        """(utterance_id, media_uri, start_s, end_s) of what is decoded: like lengths meet, spans of a file too."""
        rows = self._rows(works, "utterance_id", "media_uri", "start_s", "end_s", "media_size")
        _refuse_without(rows, "media_uri")
        order = [
            -pl.col("media_size").fill_null(0),
            pl.col("media_uri"),
            pl.col("start_s").fill_null(0),
        ]
        return rows.sort(order, maintain_order=True).drop("media_size")

    def _requests(self, works: Sequence[_Work], clips: Iterable[BlockClip]) -> list[ClipRequest]:
        """One request an utterance, for whoever lacks it."""
        requests = []
        for utterance_id, uri, start_s, end_s in clips:
            lacking = [work.extractor for work in works if utterance_id in work.lacking]
            sound = any(extractor.needs == "audio" for extractor in lacking)
            watchers = [extractor for extractor in lacking if isinstance(extractor, FrameExtractor)]
            requests.append(ClipRequest(utterance_id, uri, start_s, end_s, sound, watchers))
        return requests

    def _window(
        self, works: Sequence[_Work], window: Sequence[tuple[ClipRequest, Clip]]
    ) -> Iterator[Yielded]:
        for work in works:
            items: list[Item] = []
            for request, clip in window:
                if request.utterance_id not in work.lacking:
                    continue
                item = _item(work.extractor, request, clip)
                if isinstance(item, Fault):
                    told = work.extractor.without_media(item) if item.stage != "extract" else item
                    yield from _told(work, request.utterance_id, told)
                else:
                    items.append(item)
            facts = {item.utterance_id: item.facts for item in items}
            for view, utterance_id, outcome in self._batches(work, items):
                if isinstance(outcome, Fault):
                    outcome = replace(outcome, facts={**facts[utterance_id], **outcome.facts})
                yield view, utterance_id, outcome

    def _batches(self, work: _Work, items: Sequence[Item]) -> Iterator[Yielded]:
        extractor = work.extractor
        for batch in by_cost(items, extractor.cost, extractor.settings.batch_size):
            started = time.perf_counter()
            outcomes = attempt(extractor, batch)
            work.seconds += time.perf_counter() - started
            work.done += len(batch)
            for item, outcome in zip(batch, outcomes, strict=True):
                yield from _told(work, item.utterance_id, outcome)

    def _rows(self, works: Sequence[_Work], *columns: str) -> pl.DataFrame:
        lacked = [pl.Series("utterance_id", list(work.lacking), pl.String).to_frame() for work in works]
        wanted = pl.concat(lacked).unique()
        rows = self.manifest.select(columns).join(
            wanted, on="utterance_id", how="semi", maintain_order="left"
        )
        if len(rows) != len(wanted):
            raise BadInputError(
                f"{len(wanted) - len(rows)} of {len(wanted)} utterances are not in the manifest"
            )
        return rows

    def _load(self, extractor: Extractor) -> None:
        if any(extractor is each for each in self._ready):
            return
        if self._on_load:
            self._on_load(extractor.name)
        load(extractor, self.device)
        self._ready.append(extractor)
        self.loaded.append(extractor.name)


def _refuse_without(rows: pl.DataFrame, column: str) -> None:
    """Refuse rows that were imported with the keys of a text or a file alone: another would be stored as theirs."""
    lacking = rows.filter(pl.col(column).is_null())["utterance_id"]
    if len(lacking):
        what = "texts" if column == "text" else "media"
        raise BadInputError(
            f"{len(lacking):,} utterances, such as {lacking[0]!r}, came with an export, without their {what}: ingest "
            "their corpus on this machine first, or choose others with --corpus"
        )


def attempt(extractor: Extractor, batch: Sequence[Item]) -> list[Outputs]:
    """The batch's outcomes; when it raises, its halves', down to the items at fault.

    Halving also answers a batch that does not fit into memory.
    """
    try:
        outcomes = extractor.extract(batch)
        if len(outcomes) != len(batch):
            raise RuntimeError(f"{extractor.name} gave {len(outcomes)} outcomes for {len(batch)} utterances")
        return outcomes
    except Exception as error:
        if len(batch) == 1:
            return [Fault.from_exception("extract", error)]
    middle = len(batch) // 2
    return attempt(extractor, batch[:middle]) + attempt(extractor, batch[middle:])


def rate_key(extractor: Extractor, device: str) -> str:
    """Under which an extractor's throughput is remembered."""
    first = next(iter(extractor.recipes().values()))
    return f"{extractor.name}:{first.fingerprint[:16]}:{device}"


def _work(extractor: Extractor, missing: Mapping[str, Sequence[str]]) -> _Work:
    work = _Work(extractor, {output: recipe.view for output, recipe in extractor.recipes().items()})
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # a million utterances lack the same outputs
    for output, view in work.views.items():
        for utterance_id in missing.get(view, ()):
            outputs = (*work.lacking.get(utterance_id, ()), output)
            work.lacking[utterance_id] = shared.setdefault(outputs, outputs)
    return work


def _of_media(works: Sequence[_Work]) -> list[_Work]:
    return [work for work in works if work.extractor.needs in ("audio", "frames")]


def _missing(works: Sequence[_Work], utterance_ids: Sequence[str]) -> dict[str, list[str]]:
    """By view, which of the utterances lack it."""
    lacking: dict[str, list[str]] = defaultdict(list)
    for work in works:
        for utterance_id in utterance_ids:
            for output in work.lacking.get(utterance_id, ()):
                lacking[work.views[output]].append(utterance_id)
    return dict(lacking)


def _told(work: _Work, utterance_id: str, outcome: Outputs) -> Iterator[Yielded]:
    for output in work.lacking[utterance_id]:
        view = work.views[output]
        if isinstance(outcome, Fault):
            yield view, utterance_id, outcome
        elif output in outcome:
            yield view, utterance_id, outcome[output]
        else:
            yield (
                view,
                utterance_id,
                Fault("extract", "MissingOutput", f"{work.extractor.name} gave no {output!r}"),
            )


def _item(extractor: Extractor, request: ClipRequest, clip: Clip) -> Item | Fault:
    """The part of a clip that the extractor reads, or why it is not there."""
    if extractor.needs == "audio":
        if isinstance(clip.sound, Sound):
            return Item(request.utterance_id, audio=clip.sound.samples, facts=clip.facts)
        return clip.sound or Fault("decode", "NoSound", f"{request.uri}: no sound was decoded")
    watching: Sequence[object] = request.watchers
    (place,) = (place for place, watcher in enumerate(watching) if watcher is extractor)
    seen = clip.seen[place]
    return seen if isinstance(seen, Fault) else Item(request.utterance_id, seen=seen, facts=clip.facts)
