"""The chain that leads from a clip to a run's inputs: base views, derived ones, and those that other runs learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from trainers.runs.run import Run, finished_run

if TYPE_CHECKING:
    from feature_repo.store import Store


@dataclass(frozen=True)
class Chain:
    """What some views are made of, inputs before what reads them.

    Attributes:
        computed: views that extractors and derivations fill.
        speakers: views about speakers, which new clips look up and do not change.
        learned: views that a run's hidden layer fills, with the run.
        known: all of these, and the views that their recipes name besides.
    """

    computed: tuple[str, ...]
    speakers: tuple[str, ...]
    learned: tuple[tuple[str, Run], ...]
    known: tuple[str, ...]


def chain_of(store: Store, views: Mapping[str, str]) -> Chain:
    """The chain of these views (name to view).

    Raises:
        UnknownNameError: a view, or one that it reads, is no longer in the store.
        BadInputError: the run that a view was learned in is gone.
    """
    computed: list[str] = []
    speakers: list[str] = []
    learned: list[tuple[str, Run]] = []
    named: list[str] = []  # by a recipe or a run, and not followed
    seen: set[str] = set()

    def follow(view: str) -> None:
        if view in seen:
            return
        seen.add(view)
        recipe = store.recipe(view)
        inputs = store.inputs_of(recipe).values()
        if recipe.entity == "speaker":
            speakers.append(view)
            named.extend(inputs)
            return
        for above in inputs:
            follow(above)
        if "run" not in recipe.settings:
            computed.append(view)
            return
        run = finished_run(store.files, str(recipe.settings["run"]))
        if run is None:
            raise BadInputError(f"{view} was learned in run {recipe.settings['run']}, whose folder is gone")
        learned.append((view, run))
        named.extend(run.record["views"].values())

    for view in views.values():
        follow(view)
    return Chain(tuple(computed), tuple(speakers), tuple(learned), tuple(sorted({*seen, *named})))


def embed_learned(
    store: Store,
    chain: Chain,
    device: str = "cpu",
    on_total: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Fill the chain's learned views for the utterances of the store's manifest.

    Args:
        store: where the views that they read are filled.
        chain: of :func:`chain_of`.
        device: where the models run.
        on_total: told how many more vectors are to be computed.
        on_progress: told 1 after each.

    Raises:
        BadInputError: a view that this version's ``embed`` would call otherwise.
    """
    from trainers.embed import embed  # torch is imported where something is missing

    for view, run in chain.learned:
        recipe = store.recipe(view)
        over = store.view_of(recipe.inputs[0]) if recipe.layout == "steps" else None
        made, _ = embed(store, run, over=over, device=device, on_total=on_total, on_progress=on_progress)
        if made != recipe:
            raise BadInputError(f"{view} was made by another version: this one gives {made.view}")
