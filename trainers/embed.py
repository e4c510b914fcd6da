"""Embed: a finished run's hidden layer becomes a feature view like any other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.fill import FillReport, fill
from feature_repo.outcome import Fault, Features, Outcome
from feature_repo.recipe import Recipe
from trainers.run import Run

if TYPE_CHECKING:
    from feature_repo.store import Store

EXTRACTOR = "adapter"
CODE_VERSION = 1
# Pulled, embedded and handed over at once: bounds memory, and an interrupt loses no more than this.
_ROWS_AT_ONCE = 16_384


def adapter_recipe(store: Store, run: Run) -> Recipe:
    """The recipe of a run's hidden layer: its inputs' fingerprints, and what it was trained on (DESIGN section 9).

    Raises:
        UnknownNameError: an input view is no longer in the store.
    """
    record = run.record
    modalities = {store.recipe(view).modality for view in record["views"].values()}
    return Recipe(
        modality=modalities.pop() if len(modalities) == 1 else "joint",
        extractor=EXTRACTOR,
        code_version=CODE_VERSION,
        reads="rows",
        layout="pooled",
        width=int(record["hidden"][-1]),
        settings={name: record[name] for name in ("protocol", "fold", "seed", "training_ids")}
        | {"run": run.key},
        inputs=tuple(record["fingerprints"][slot] for slot in record["slots"]),
    )


def embed(
    store: Store,
    run: Run,
    *,
    corpora: Sequence[str] | None = None,
    device: str = "cpu",
    on_total: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Recipe, FillReport]:
    """Store the hidden layer of a run for every utterance that has all of its input views.

    Args:
        store: the store.
        run: a finished run.
        corpora: only these corpora; all by default.
        device: where the model runs.
        on_total: told how many utterances are missing.
        on_progress: told 1 after each.

    Returns:
        The view's recipe and what was filled; nothing is computed twice.

    Raises:
        UnknownNameError: a corpus, or an input view, that does not exist.
    """
    recipe = adapter_recipe(store, run)
    views = [run.record["views"][slot] for slot in run.record["slots"]]

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        (ids,) = missing.values()
        if on_total:
            on_total(len(ids))
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            chunk = ids[start : start + _ROWS_AT_ONCE]
            pulled = store.pull(views, ids=chunk)
            features = np.concatenate(list(pulled.pooled.values()), axis=1)
            hidden = hidden_layer(run, features, device)
            done = set(pulled.ids)
            for utterance_id, vector in zip(pulled.ids, hidden, strict=True):
                yield recipe.view, utterance_id, Features(vector)
            for utterance_id in chunk:
                if utterance_id not in done:
                    yield recipe.view, utterance_id, _no_input(utterance_id, views)

    provenance = {recipe.view: {"run": run.key, "input_views": ", ".join(views)}}
    return recipe, fill(
        store, [recipe], compute, corpora=corpora, provenance=provenance, on_progress=on_progress
    )


def hidden_layer(run: Run, features: np.ndarray, device: str = "cpu") -> np.ndarray:
    """A run's last hidden layer ``[rows, 128]`` float32 of its inputs ``[rows, width]``, views side by side."""
    import torch  # so that a run whose view is complete costs no second
    from safetensors.torch import load

    from trainers.adapters import build_adapter
    from trainers.training_loop import forward

    record = run.record
    model = build_adapter(record["trainer"], record["width"], len(record["classes"]), record)
    model.load_state_dict(load(run.checkpoint()))
    model.to(device)
    rows = torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(device)
    return forward(model, [rows], model.hidden).cpu().numpy()


def _no_input(utterance_id: str, views: Sequence[str]) -> Fault:
    return Fault(
        "extract",
        "StaleInputError",
        f"{utterance_id}: {' or '.join(views)} has no vector of what the manifest says now; extract, then embed again",
    )
