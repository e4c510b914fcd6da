"""The runner: computes what a store lacks, each file decoded once for all extractors of sound (DESIGN section 7)."""

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import polars as pl

from extractors.batching import by_cost
from extractors.clip import decode_audio
from extractors.media import MediaError
from extractors.protocol import SAMPLE_RATE, Extractor, Item, Outputs
from extractors.settings import ModelSettings
from extractors.sound import Sound
from extractors.throughput import remember
from feature_repo.errors import AffectStoreError, BadInputError
from feature_repo.outcome import Fault, Outcome
from feature_repo.recipe import Recipe

# 20 minutes of sound are 77 MB; utterances of like length meet in a window that large.
WINDOW_S = 1200.0
_LIBRARIES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "librosa",
    "scikit-learn",
    "resemblyzer",
    "av",
    "soxr",
)

Yielded = tuple[str, str, Outcome]


@dataclass
class _Work:
    """What one extractor still has to do: its outputs' views, and the outputs that each utterance lacks."""

    extractor: Extractor
    views: dict[str, str]
    lacking: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seconds: float = 0.0
    done: int = 0


class Runner:
    """Computes missing features; :meth:`compute` is what ``feature_repo.fill.fill`` wants.

    Args:
        extractors: models not loaded; each is loaded at its first missing utterance.
        manifest: rows of at least the utterances that may be missing.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        decode_threads: files decoded side by side, ahead of the models.
        window_s: seconds of decoded sound that are held at once.
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
        on_load: Callable[[str], None] | None = None,
    ) -> None:
        self.extractors = extractors
        self.manifest = manifest
        self.device = device
        self.decode_threads = decode_threads or min(8, os.cpu_count() or 1)
        self.window_s = window_s
        self.loaded: list[str] = []
        self._on_load = on_load

    def recipes(self) -> list[Recipe]:
        """The recipes of all extractors, each once."""
        by_view = {
            recipe.view: recipe for extractor in self.extractors for recipe in extractor.recipes().values()
        }
        return list(by_view.values())

    def provenance(self) -> dict[str, dict[str, str]]:
        """By view: model, library versions and device; told in the store, never compared."""
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
            for recipe in extractor.recipes().values():
                told[recipe.view] = {**model, "device": self.device, **versions}
        return told

    def compute(self, missing: Mapping[str, Sequence[str]]) -> Generator[Yielded, None, None]:
        """Yields (view, utterance id, outcome) once for each missing pair, as it is finished.

        Args:
            missing: view to utterance ids.

        Raises:
            BadInputError: a model could not be loaded, a package is not installed.
        """
        works = [work for extractor in self.extractors if (work := self._work(extractor, missing)).lacking]
        for work in works:
            if work.extractor.needs == "text":
                yield from self._texts(work)
        hearing = [work for work in works if work.extractor.needs == "audio"]
        if hearing:
            yield from self._sounds(hearing)
        for work in works:
            remember(rate_key(work.extractor, self.device), work.done, work.seconds)

    def _work(self, extractor: Extractor, missing: Mapping[str, Sequence[str]]) -> _Work:
        work = _Work(extractor, {output: recipe.view for output, recipe in extractor.recipes().items()})
        for output, view in work.views.items():
            for utterance_id in missing.get(view, ()):
                work.lacking[utterance_id].append(output)
        return work

    def _texts(self, work: _Work) -> Iterator[Yielded]:
        self._load(work.extractor)
        rows = self._rows([work], "utterance_id", "text", "language")
        items = [Item(utterance_id, text or "", None, language) for utterance_id, text, language in rows]
        yield from self._batches(work, items)

    def _sounds(self, works: Sequence[_Work]) -> Iterator[Yielded]:
        for work in works:
            self._load(work.extractor)
        # Like lengths meet in a window, and the spans of one file follow each other.
        rows = self._rows(works, "utterance_id", "media_uri", "start_s", "end_s", "media_size")
        rows.sort(key=lambda row: (-(row[4] or 0), row[1] or "", row[2] or 0.0))
        window: list[tuple[str, Sound | Fault]] = []
        held = 0.0
        for utterance_id, sound in self._decoded(rows):
            window.append((utterance_id, sound))
            held += len(sound.samples) / SAMPLE_RATE if isinstance(sound, Sound) else 0.0
            if held >= self.window_s:
                yield from self._window(works, window)
                window, held = [], 0.0
        yield from self._window(works, window)

    def _window(
        self, works: Sequence[_Work], window: Sequence[tuple[str, Sound | Fault]]
    ) -> Iterator[Yielded]:
        for work in works:
            items, facts = [], {}
            for utterance_id, sound in window:
                if utterance_id not in work.lacking:
                    continue
                if isinstance(sound, Fault):
                    yield from _told(work, utterance_id, work.extractor.without_media(sound))
                else:
                    items.append(Item(utterance_id, audio=sound.samples))
                    facts[utterance_id] = sound.facts
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

    def _decoded(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Sound | Fault]]:
        """The sounds in order, a bounded number of them decoded ahead."""
        pool = ThreadPoolExecutor(self.decode_threads, thread_name_prefix="decode")
        ahead: deque[tuple[str, Future[Sound | Fault]]] = deque()
        try:
            for utterance_id, uri, start_s, end_s, _ in rows:
                ahead.append((str(utterance_id), pool.submit(_decode, str(uri), start_s, end_s)))
                if len(ahead) > 4 * self.decode_threads:
                    first, future = ahead.popleft()
                    yield first, future.result()
            while ahead:
                first, future = ahead.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _rows(self, works: Sequence[_Work], *columns: str) -> list[tuple[Any, ...]]:
        wanted = {utterance_id for work in works for utterance_id in work.lacking}
        rows = self.manifest.filter(pl.col("utterance_id").is_in(list(wanted))).select(columns).rows()
        if len(rows) != len(wanted):
            raise BadInputError(
                f"{len(wanted) - len(rows)} of {len(wanted)} utterances are not in the manifest"
            )
        return rows

    def _load(self, extractor: Extractor) -> None:
        if extractor.name in self.loaded:
            return
        if self._on_load:
            self._on_load(extractor.name)
        _keep_to_this_machine(extractor)
        try:
            if extractor.needs == "audio":
                import av  # noqa: F401  (asked for before the first file, since each file would fail alike)
            extractor.load(resolve_device(self.device) if extractor.uses_device else "cpu")
        except AffectStoreError:
            raise
        except ModuleNotFoundError as error:
            raise BadInputError(
                f"extractor {extractor.name!r} needs the package {error.name!r}, which is not installed: "
                f"pip install 'affectstore[{extractor.modality.replace('audio', 'media')}]'"
            ) from error
        except Exception as error:
            raise BadInputError(
                f"extractor {extractor.name!r}: its model could not be loaded: {error}"
            ) from error
        self.loaded.append(extractor.name)


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


def resolve_device(device: str) -> str:
    """The device that ``auto`` means, or the named one.

    Raises:
        BadInputError: a device that this machine does not have.
    """
    import torch  # seconds to import: only once a model is loaded

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind = device.split(":")[0]
    if not {"cpu": True, "cuda": cuda, "mps": mps}.get(kind, False):
        there = ["cpu"] + ["cuda"] * cuda + ["mps"] * mps
        raise BadInputError(f"device {device!r} is not there; this machine has: {', '.join(there)}")
    return device


def select_ids(manifest: pl.DataFrame, holds: Callable[[str], bool]) -> Collection[str]:
    """Ids of the manifest's utterances that the predicate holds for."""
    return [utterance_id for utterance_id in manifest["utterance_id"] if holds(utterance_id)]


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


def _decode(uri: str, start_s: float | None, end_s: float | None) -> Sound | Fault:
    try:
        return decode_audio(uri, start_s, end_s)
    except MediaError as error:
        return error.fault()
    except Exception as error:  # one file must not end the run
        return Fault.from_exception("decode", error, path=uri, start_s=start_s, end_s=end_s)


def _keep_to_this_machine(extractor: Extractor) -> None:
    """No telemetry, and no look at the hub for a model that is at hand already."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not getattr(extractor.settings, "download", False):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
