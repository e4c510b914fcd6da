"""Prediction from start to end: of what a store holds, or of new clips, which are computed and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from feature_repo.absence import absences
from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.scratch import copy_live_rows, scratch_store
from feature_repo.selection import Selection
from trainers.models import check_reads_vectors, model_reads
from trainers.prediction.chain import Chain, chain_of, embed_learned
from trainers.prediction.prediction import predict_together

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.runs.run import Run

CORPUS = "new-clips"  # that new clips are in while they are computed
# The note of a row without the speaker's face, when there is none to compare with.
NO_REFERENCE = "no reference of the speaker"
_LISTED = 5

Settings = Mapping[str, Mapping[str, str]]  # extractor to its settings as texts
Told = Callable[[Any], None] | None


class ComputeViews(Protocol):
    """Fills base and derived views of a store, as the extractors' room does."""

    def __call__(
        self,
        store: Store,
        views: Sequence[str],
        *,
        settings: Settings | None = None,
        device: str = "auto",
        on_total: Told = None,
        on_progress: Told = None,
        on_load: Told = None,
    ) -> None:
        """See :func:`extractors.recompute.compute_views`."""
        ...


@dataclass(frozen=True)
class Predicted:
    """What a model says of some utterances.

    Attributes:
        rows: as :func:`trainers.prediction.prediction.predict` gives them.
        absent: by slot, utterance id to why it has none; slots that were left out are not in it.
        remarks: what a person should know of how it was done.
    """

    rows: pl.DataFrame
    absent: Mapping[str, Mapping[str, str]]
    remarks: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Per row the slots that it lacks and why, empty where none."""
        told: dict[str, list[str]] = {}
        for slot, reasons in self.absent.items():
            for utterance_id, reason in reasons.items():
                told.setdefault(utterance_id, []).append(f"no {slot}: {reason}")
        return ["; ".join(told.get(name, ())) for name in self.rows["utterance_id"]]


def views_of_slots(runs: Sequence[Run], without: Sequence[str] = ()) -> dict[str, str]:
    """Slot to view of runs that are asked together, some left out.

    Raises:
        UnknownNameError: a slot to leave out that the runs do not have.
        BadInputError: runs of other views, none would be left, or an adapter would lack one.
    """
    run, *others = runs
    check_reads_vectors(run)
    views: dict[str, str] = dict(run.record["views"])
    for other in others:
        if other.record["views"] != views:
            raise BadInputError(
                f"runs {run.key} and {other.key} read other views, such as layers that were learned fold by fold; name"
                " one of them"
            )
    for slot in without:
        if slot not in views:
            raise UnknownNameError(f"slot of run {run.key}", slot, views)
    if without and model_reads(run.record["trainer"]) == "rows":
        raise BadInputError(
            f"run {run.key} is an adapter ({run.record['trainer']}), which needs all of its slots; allowed without"
            " some: a fusion model's run"
        )
    left = {slot: view for slot, view in views.items() if slot not in without}
    if not left:
        raise BadInputError(f"nothing is left to predict from: run {run.key} reads {', '.join(views)}")
    return left


def predict_stored(
    store: Store,
    runs: Sequence[Run],
    *,
    corpora: Sequence[str],
    splits: Sequence[str] = (),
    without: Sequence[str] = (),
    device: str = "cpu",
) -> Predicted:
    """Predict utterances of a store from what is stored of them; nothing is computed but the model.

    Args:
        store: the store.
        runs: finished runs in it that read the same views; the mean of their probabilities is told.
        corpora: of which corpora.
        splits: only these splits; all by default.
        without: slots to leave out.
        device: where the model runs.

    Raises:
        UnknownNameError: a corpus, split, slot or view that does not exist.
        BadInputError: no slot is left, or an adapter would lack one.
    """
    views = views_of_slots(runs, without)
    where = Selection(corpora=tuple(corpora), splits=tuple(splits))
    return _predicted(store, runs, views, where, device)


def predict_new(
    store: Store,
    runs: Sequence[Run],
    rows: pl.DataFrame,
    compute_views: ComputeViews,
    *,
    without: Sequence[str] = (),
    settings: Settings | None = None,
    device: str = "auto",
    model_device: str = "cpu",
    on_total: Told = None,
    on_progress: Told = None,
    on_load: Told = None,
) -> Predicted:
    """Run the chain that runs were trained on over new clips, then their models; the store is only read.

    Args:
        store: holds the run and tells how its views were made.
        runs: finished runs in it that read the same views; the mean of their probabilities is told.
        rows: manifest rows of the corpus ``CORPUS``.
        compute_views: fills the views that extractors make.
        without: slots to leave out; nothing is computed for them.
        settings: of extractors, instead of recorded ones.
        device: where extractors run.
        model_device: where learned layers and the model run.
        on_total: told how many more values are to be computed.
        on_progress: told 1 after each.
        on_load: told an extractor's name when its model is loaded.

    Returns:
        The rows in the order given; ids without the corpus in front.

    Raises:
        UnknownNameError: a slot, a setting or its extractor that does not exist; a view that is no longer stored.
        BadInputError: a view that can't be made as it was made, such as with other weights.
    """
    views = views_of_slots(runs, without)
    chain = chain_of(store, views)
    strangers: dict[str, str] = {}
    if chain.speakers:
        rows, strangers = _known_speakers(store, rows)
    with scratch_store(store, chain.known) as scratch:
        scratch.write_manifest(CORPUS, rows)
        _copy_references(store, scratch, chain)
        compute_views(
            scratch,
            chain.computed,
            settings=settings,
            device=device,
            on_total=on_total,
            on_progress=on_progress,
            on_load=on_load,
        )
        embed_learned(scratch, chain, model_device, on_total, on_progress)
        found = _predicted(scratch, runs, views, Selection(corpora=(CORPUS,)), model_device)
    order = rows.select("utterance_id")
    ordered = order.join(found.rows, on="utterance_id", how="left", maintain_order="left")
    return Predicted(
        ordered.with_columns(pl.col("utterance_id").map_elements(_own, pl.String)),
        {slot: _with_strangers(reasons, rows, strangers) for slot, reasons in found.absent.items()},
        _unnamed(rows) if chain.speakers else (),
    )


def _predicted(
    store: Store, runs: Sequence[Run], views: Mapping[str, str], where: Selection, device: str
) -> Predicted:
    by_dialogue = model_reads(runs[0].record["trainer"]) == "dialogues"
    if by_dialogue:
        data: Any = store.pull(dict(views), where=where, join="outer", by="dialogue")
    else:
        data = store.pull(dict(views), where=where, join="outer")
    training_set = data.training_set if isinstance(data, Dialogues) else data
    absent = {}
    for slot, view in views.items():
        lacking = [
            name
            for name, there in zip(training_set.ids, training_set.present[slot], strict=True)
            if not there
        ]
        absent[slot] = absences(store, view, lacking) if lacking else {}
    return Predicted(predict_together(runs, data, device), absent)


def _own(utterance_id: str) -> str:
    """The id as it was given."""
    return utterance_id.removeprefix(f"{CORPUS}/")


def _copy_references(store: Store, scratch: Store, chain: Chain) -> None:
    people = scratch.manifest()["speaker_id"].drop_nulls().unique().to_list()
    for view in chain.speakers:
        copy_live_rows(store, scratch, view, people)


def _known_speakers(store: Store, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """The rows with the store's own ids of those speakers whom it knows; of the others, given id to what is wrong."""
    if "speaker_id" not in rows.columns:
        return rows.with_columns(speaker_id=pl.lit(None, pl.String)), {}
    people = store.manifest().select("speaker_id", "speaker_raw").drop_nulls("speaker_id").unique()
    ids = set(people["speaker_id"])
    by_name: dict[str, list[str]] = {}
    for speaker_id, name in people.drop_nulls().sort("speaker_id").iter_rows():
        by_name.setdefault(name, []).append(speaker_id)
    known: dict[str, str] = {}
    strangers: dict[str, str] = {}
    for given in rows["speaker_id"].drop_nulls().unique(maintain_order=True):
        name = _own(given)
        candidates = [name] if name in ids else by_name.get(name, [])
        if len(candidates) == 1:
            known[given] = candidates[0]
        elif candidates:
            strangers[given] = f"{name!r} may be any of {', '.join(candidates[:_LISTED])}"
        else:
            strangers[given] = f"{name!r} is nobody whom the store knows"
    return rows.with_columns(pl.col("speaker_id").replace(known)), strangers


def _with_strangers(
    reasons: Mapping[str, str], rows: pl.DataFrame, strangers: Mapping[str, str]
) -> dict[str, str]:
    """The reasons; where the speaker's face was not found, with what is wrong with the speaker."""
    who = dict(rows.select("utterance_id", "speaker_id").iter_rows()) if strangers else {}
    told = {}
    for name, reason in reasons.items():
        stranger = strangers.get(who.get(name) or "") if reason == NO_REFERENCE else None
        told[_own(name)] = f"{reason}: {stranger}" if stranger else reason
    return told


def _unnamed(rows: pl.DataFrame) -> tuple[str, ...]:
    """What to tell of clips whose speaker is not named."""
    clips = rows.filter(pl.col("media_uri").is_not_null()) if "media_uri" in rows.columns else rows.clear()
    count = clips["speaker_id"].null_count()
    if not count:
        return ()
    who = "no speaker is named" if clips.height == 1 else f"{count} of {clips.height} clips have no speaker"
    return (f"{who}: where several faces are seen, the most confident one of each frame is taken for theirs",)
