"""The Ray engine: blocks of an extraction on Ray Data's actors, their outcomes committed by one writer.

The workers compute and the driver commits. So there is one flush, one check of what was forgotten and one place for
faults, workers need no access to the store, and a lost worker loses no more than the blocks that it held. What it
costs is that every value passes through the driver once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import sys
import warnings
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from extractors.engines.packing import Message, messages
from extractors.engines.ray_cluster import RayPlace, Workers, connected, room
from extractors.engines.ray_worker import Worker, WorkerJob, installed_version
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from extractors.block import Block
    from extractors.runner import Runner, Yielded
    from extractors.settings import Settings

# Of a block whose worker died, before it is halved, and of a single utterance before it is blamed: most often a node
# went, through no fault of what it computed.
_TRIES = 2
_PROBES = 3
_OUTPUT_BYTES = 16 << 20  # of a Ray block of answers
_TOLD = 3  # ids that a message names


class RayEngine:
    """Computes what a runner would compute, on Ray; :meth:`compute` is what ``feature_repo.fill.fill`` wants.

    Values are those of the local engine bit for bit where the device and its threads are the same: the same
    utterances meet in a batch. Media must lie at the same paths on every node.

    Args:
        runner: says what is computed, and loads no model.
        place: where.
        on_load: told what is being waited for.
    """

    def __init__(
        self, runner: Runner, place: RayPlace | None = None, *, on_load: Callable[[str], None] | None = None
    ) -> None:
        self.runner = runner
        self.place = place or RayPlace()
        self._on_load = on_load

    def compute(self, missing: Mapping[str, Sequence[str]]) -> Generator[Yielded, None, None]:
        """Yields (view, utterance id, outcome) once for each missing pair, as it arrives.

        The blocks of a worker that dies are computed by another; a block that ends its workers again and again is
        halved until the utterances at fault are known.

        Args:
            missing: view to utterance ids.

        Raises:
            BadInputError: Ray can't be reached, has no room or loses all that it computes, a worker can't compute
                (another version, weights or package, media that it does not see), or utterances end every worker that
                computes them; everything else was yielded.
        """
        awaited = {(view, each) for view, ids in missing.items() for each in ids}
        waiting = [(pickle.dumps(block), 0) for block in self.runner.blocks(missing)]
        deadly: list[str] = []
        again = False
        fruitless = 0
        with connected(self.place):
            while waiting:
                self._tell("starting workers")
                models = self.runner.device != "cpu" and any(
                    each.uses_device for each in self.runner.extractors
                )
                workers = room(self.place, models)
                unfinished = set(range(len(waiting)))
                before = len(awaited)
                try:
                    for message in self._answers([data for data, _ in waiting], workers, again):
                        if message.kind == "refused":
                            raise BadInputError(message.reason)
                        if message.kind == "done":
                            unfinished.discard(message.block)
                        for view, utterance_id, outcome in message.outcomes:
                            # A block that was computed again may answer twice.
                            if (view, utterance_id) in awaited:
                                awaited.discard((view, utterance_id))
                                yield view, utterance_id, outcome
                except Exception as error:
                    if not _is_of_ray(error):
                        raise
                    # A node went with answers that had not come over. No block is to blame: all others go on.
                    fruitless = fruitless + 1 if len(awaited) == before else 0
                    if fruitless == _TRIES:
                        raise BadInputError(f"Ray can't go on: {_first_line(error)}") from error
                    waiting = [each for each in waiting if _is_awaited(pickle.loads(each[0]), awaited)]
                else:
                    waiting = _again([waiting[place] for place in sorted(unfinished)], awaited, deadly)
                again = True
        if deadly:
            more = f" and {len(deadly) - _TOLD} more" if len(deadly) > _TOLD else ""
            raise BadInputError(
                f"{', '.join(sorted(deadly)[:_TOLD])}{more}: every worker that computed this died, of too little "
                "memory or a crash of a library; everything else is stored. Try it with fewer workers or --engine local"
            )

    def _answers(self, blocks: Sequence[bytes], workers: Workers, again: bool) -> Iterator[Message]:
        """The workers' messages; a block whose worker died has no ``done`` among them."""
        import pyarrow as pa
        import ray

        context = ray.data.DataContext.get_current()
        context.max_errored_blocks = -1  # we know what was lost
        context.target_max_block_size = _OUTPUT_BYTES
        inputs = [pa.table({"number": [n], "block": [data]}) for n, data in enumerate(blocks)]
        count = min(workers.count, len(blocks))
        with warnings.catch_warnings():
            # Ray 2.60 announces that 2.64 will name these arguments otherwise.
            warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
            computed = ray.data.from_arrow(inputs).map_batches(
                Worker,
                fn_constructor_args=(self._job(workers),),
                batch_size=None,
                batch_format="pyarrow",
                zero_copy_batch=True,
                compute=ray.data.ActorPoolStrategy(
                    min_size=1,
                    max_size=count,
                    initial_size=count,
                    # A second block waits at each worker, so that none is idle; not beside one that was lost already.
                    max_tasks_in_flight_per_actor=1 if again else 2,
                ),
                num_cpus=workers.cores,
                num_gpus=workers.gpus or None,
                ray_remote_args_fn=_remote_arguments,
            )
        del inputs
        batches = computed.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
        with contextlib.closing(cast("Generator[pa.Table, None, None]", iter(batches))) as tables:
            first = True
            for table in tables:
                if first:
                    self._tell(f"{count} Ray worker{'s' if count > 1 else ''}")
                    first = False
                yield from messages(table)

    def _job(self, workers: Workers) -> WorkerJob:
        runner = self.runner
        seen: list[str] = []
        if any(extractor.needs in ("audio", "frames") for extractor in runner.extractors):
            uris = runner.manifest["media_uri"].drop_nulls()
            seen = [uri for uri in uris.gather_every(max(1, len(uris) // _PROBES)) if Path(uri).is_file()]
        device = runner.device
        if device == "auto" and workers.gpus:
            device = "cuda"  # one without a GPU is to say so, and not compute for days
        return WorkerJob(
            tuple((type(each), with_absolute_files(each.settings)) for each in runner.extractors),
            tuple(tuple(recipe.view for recipe in each.recipes().values()) for each in runner.extractors),
            device,
            workers.cores,
            installed_version(),
            tuple(seen[:_PROBES]),
        )

    def _tell(self, what: str) -> None:
        if self._on_load:
            self._on_load(what)


def _again(
    lost: Sequence[tuple[bytes, int]], awaited: Collection[tuple[str, str]], deadly: list[str]
) -> list[tuple[bytes, int]]:
    """What is still to be computed of blocks without an end; ids that end their worker even alone are told."""
    again: list[tuple[bytes, int]] = []
    for data, tries in lost:
        block: Block = pickle.loads(data)
        if not _is_awaited(block, awaited):
            continue  # it had told everything
        if tries + 1 < _TRIES:
            again.append((data, tries + 1))
        elif len(block.utterance_ids) == 1:
            deadly += block.utterance_ids
        else:
            for half in block.halves():
                again.append((pickle.dumps(half), 0 if len(half.utterance_ids) == 1 else tries))
    return again


def _is_awaited(block: Block, awaited: Collection[tuple[str, str]]) -> bool:
    return any((view, each) in awaited for view, ids in block.missing.items() for each in ids)


def _is_of_ray(error: Exception) -> bool:
    known = sys.modules.get("ray.exceptions")  # imported by then, if it is
    return known is not None and isinstance(error, known.RayError)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def with_absolute_files(settings: Settings) -> Settings:
    """The settings with files and folders that they name made absolute: a worker has another working directory."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, str) and value and not item.metadata.get("identity", True):
            path = Path(value).expanduser()
            if path.exists():
                found[item.name] = str(path.resolve())
    return dataclasses.replace(settings, **found)


def _remote_arguments() -> dict[str, Any]:
    # A lost actor is started again; what it computed is tried again by us, who know what is left of it.
    return {"max_restarts": -1, "max_task_retries": 0}
