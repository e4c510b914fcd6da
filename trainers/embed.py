"""Embed: a finished run's hidden layer becomes a feature view like any other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError
from feature_repo.fill import FillReport, fill
from feature_repo.outcome import Fault, Features, Outcome
from feature_repo.recipe import Recipe
from trainers.models import check_reads_vectors, model_reads
from trainers.runs.run import Run

if TYPE_CHECKING:
    from feature_repo.store import Store
    from feature_repo.training_set import TrainingSet

EXTRACTOR = "adapter"
CODE_VERSION = 1
# Pulled, embedded and handed over at once: bounds memory, and an interrupt loses no more than this.
_ROWS_AT_ONCE = 16_384


def adapter_recipe(store: Store, run: Run, over: str | None = None) -> Recipe:
    """The recipe of a run's hidden layer: its inputs' fingerprints, and what it was trained on (DESIGN section 9).

    Args:
        store: the store.
        run: a finished run.
        over: view of sequences to each of whose steps the run's adapter is applied; None for the run's own inputs.

    Raises:
        UnknownNameError: an input view is no longer in the store.
        BadInputError: a conversation's run, whose layer depends on the utterances around; an end-to-end run; or
            ``over`` with a run that is no adapter of one view, or a view that is no sequence of vectors as wide.
    """
    record = run.record
    check_reads_vectors(run)
    if model_reads(record["trainer"]) == "dialogues":
        raise BadInputError(
            f"run {run.key} is a {record['trainer']} model: what it makes of an utterance depends on the others of its"
            " dialogue, and a row is of one; allowed: runs of the other models"
        )
    learned = {name: record[name] for name in ("protocol", "fold", "seed", "training_ids")} | {"run": run.key}
    recipe = Recipe(
        modality=_modality(store, list(record["views"].values())),
        extractor=EXTRACTOR,
        code_version=CODE_VERSION,
        reads="rows",
        layout="pooled",
        width=int(record["hidden"][-1]),
        settings=learned,
        inputs=tuple(record["fingerprints"][slot] for slot in record["slots"]),
    )
    if over is None:
        return recipe
    steps = store.recipe(over)
    if model_reads(record["trainer"]) != "rows" or steps.layout != "steps" or steps.width != record["width"]:
        raise BadInputError(
            f"run {run.key} ({record['trainer']}, {record.get('width', '?')} wide) can't be applied to the steps of"
            f" {over} ({steps.layout}, {steps.width} wide); allowed: an adapter's run, and a view of sequences as wide"
            " as what it reads"
        )
    changed = {
        "layout": "steps",
        "dtype": "float16",
        "inputs": [steps.fingerprint],
        "modality": steps.modality,
    }
    return Recipe.from_identity(recipe.identity() | changed)


def embed(
    store: Store,
    run: Run,
    *,
    over: str | None = None,
    corpora: Sequence[str] | None = None,
    device: str = "cpu",
    on_total: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Recipe, FillReport]:
    """Store the hidden layer of a run for every utterance that has all of its input views.

    Args:
        store: the store.
        run: a finished run.
        over: view of sequences: the adapter is applied to each step, such as a face adapter to each frame.
        corpora: only these corpora; all by default.
        device: where the model runs.
        on_total: told how many utterances are missing.
        on_progress: told 1 after each.

    Returns:
        The view's recipe and what was filled; nothing is computed twice.

    Raises:
        UnknownNameError: a corpus, or an input view, that does not exist.
        BadInputError: a run whose layer can't be stored so; see :func:`adapter_recipe`.
    """
    recipe = adapter_recipe(store, run, over)
    views = [over] if over else [run.record["views"][slot] for slot in run.record["slots"]]
    inputs = views if over else dict(zip(run.record["slots"], views, strict=True))

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        (ids,) = missing.values()
        if on_total:
            on_total(len(ids))
        layer = HiddenLayer(run, device)
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            chunk = ids[start : start + _ROWS_AT_ONCE]
            known = store.pull(inputs, ids=chunk, join="outer")
            there = np.logical_and.reduce(list(known.present.values()))
            # A stored nothing (no face, no words) makes a nothing; what is not stored yet makes a fault.
            stored = [keys.is_not_null().to_numpy() for keys in known.content_keys.values()]
            nothing = np.logical_and.reduce(stored) & ~there
            complete = [utterance_id for utterance_id, has in zip(chunk, there, strict=True) if has]
            if complete:
                pulled = store.pull(inputs, ids=complete)
                hidden = layer.of_steps(pulled) if over else layer.of_rows(pulled)
                for utterance_id, vector in zip(complete, hidden, strict=True):
                    yield recipe.view, utterance_id, Features(vector)
            for place, utterance_id in enumerate(chunk):
                if nothing[place]:
                    yield recipe.view, utterance_id, Features(None, "an input holds nothing")
                elif not there[place]:
                    yield recipe.view, utterance_id, _no_input(utterance_id, views)

    provenance = {recipe.view: {"run": run.key, "input_views": ", ".join(views)}}
    return recipe, fill(
        store, [recipe], compute, corpora=corpora, provenance=provenance, on_progress=on_progress
    )


class HiddenLayer:
    """A run's model up to its last hidden layer.

    Args:
        run: a finished run.
        device: where the model runs.
    """

    def __init__(self, run: Run, device: str = "cpu") -> None:
        from trainers.models import trained_model  # torch: a run whose view is complete costs no second

        self.run, self.device = run, device
        self.model: Any = trained_model(run, device)

    def of_rows(self, pulled: TrainingSet) -> npt.NDArray[np.float32]:
        """``[rows, hidden]`` of a training set that has the run's slots."""
        from trainers.examples import TensorExamples
        from trainers.fusion.examples import UtteranceExamples
        from trainers.models import run_slots
        from trainers.training_loop import forward

        record = self.run.record
        if model_reads(record["trainer"]) != "rows":
            made, _ = forward(
                self.model,
                UtteranceExamples(pulled, run_slots(self.run), self.device),
                layer=self.model.hidden,
            )
        else:
            features = np.concatenate([pulled.pooled[slot] for slot in record["slots"]], axis=1)
            made, _ = forward(self.model, TensorExamples([self._tensor(features)]), layer=self.model.hidden)
        hidden: npt.NDArray[np.float32] = made.cpu().numpy()
        return hidden

    def of_steps(self, pulled: TrainingSet) -> list[npt.NDArray[np.float32]]:
        """Per row ``[its steps, hidden]`` of a training set with one slot of sequences."""
        from trainers.examples import TensorExamples
        from trainers.training_loop import forward

        (steps,) = pulled.steps.values()
        flat, offsets = steps.flat()
        made, _ = forward(self.model, TensorExamples([self._tensor(flat)]), layer=self.model.hidden)
        return np.split(made.cpu().numpy(), offsets[1:-1])

    def _tensor(self, values: npt.NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)


def _modality(store: Store, views: Sequence[str]) -> str:
    modalities = {store.recipe(view).modality for view in views}
    return modalities.pop() if len(modalities) == 1 else "joint"


def _no_input(utterance_id: str, views: Sequence[str]) -> Fault:
    return Fault(
        "extract",
        "StaleInputError",
        f"{utterance_id}: {' or '.join(views)} has no vector of what the manifest says now; extract, then embed again",
    )
