"""A stored chain on new clips: base views by the extractors that made them, then the speaker's own face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extractors.recorded import recorded
from feature_repo.coverage import ON_DEMAND
from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from extractors.protocol import Extractor
    from extractors.quality.derivation import Derivation
    from feature_repo.fill import ViewPlan
    from feature_repo.recipe import Recipe
    from feature_repo.store import Store

Settings = Mapping[str, Mapping[str, str]]  # extractor to its settings as texts


@dataclass(frozen=True)
class _Job:
    """What every step of one call has in common."""

    store: Store
    settings: Settings
    device: str
    on_total: Callable[[int], None] | None
    on_progress: Callable[[int], None] | None
    on_load: Callable[[str], None] | None

    def show_plan(self, plans: Mapping[str, ViewPlan]) -> None:
        if self.on_total:
            self.on_total(sum(len(plan.keys) for plan in plans.values()))


def compute_views(
    store: Store,
    views: Sequence[str],
    *,
    settings: Settings | None = None,
    device: str = "auto",
    on_total: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_load: Callable[[str], None] | None = None,
) -> None:
    """Fill views of a store for the utterances of its manifest, as those who made the views did.

    Every clip is decoded once for all extractors. What fails is in the store's faults. A view that asks nothing of
    any utterance loads no model.

    Args:
        store: its views' recipes and what is told of them come from where the views were made; references of speakers
            are there.
        views: base views and the speakers' own faces; what a view reads stands before it.
        settings: replace recorded ones, such as where a model lies now.
        device: where models run.
        on_total: told how many more values are to be computed.
        on_progress: told 1 after each.
        on_load: told a model's name when it is loaded.

    Raises:
        BadInputError: a view that can't be made again: other weights, other code, or nothing that computes it.
        UnknownNameError: an extractor that none of the views is of, or a setting that does not exist.
    """
    job = _Job(store, settings or {}, device, on_total, on_progress, on_load)
    recipes = {view: store.recipe(view) for view in views}
    # What is looked for on demand is computed with what asks for it.
    base = {
        view: recipe
        for view, recipe in recipes.items()
        if not recipe.inputs and recipe.modality not in ON_DEMAND
    }
    for name in job.settings:
        if name not in {recipe.extractor for recipe in base.values()}:
            raise UnknownNameError(
                "extractor of this run", name, sorted({recipe.extractor for recipe in base.values()})
            )
    _compute_base(job, base)
    done: set[str] = set()
    for view, recipe in recipes.items():
        if recipe.inputs and view not in done:
            done |= _compute_faces(job, view, recipe)


def _compute_base(job: _Job, recipes: Mapping[str, Recipe]) -> None:
    from extractors.runner import Runner  # these read Arrow and decode media; checking settings needs neither
    from feature_repo.fill import fill

    wanted = [recipe for recipe in recipes.values() if len(job.store.wanted(recipe))]
    extractors: list[Extractor] = []
    for recipe in wanted:
        # One pass gives pooled vectors and sequences.
        if not any(recipe in made.recipes().values() for made in extractors):
            extractors.append(_again(job, recipe))
    runner = Runner(extractors, job.store.manifest(), device=job.device, on_load=job.on_load)
    fill(
        job.store,
        wanted,
        runner.compute,
        provenance=runner.provenance(),
        on_plan=job.show_plan,
        on_progress=job.on_progress,
    )


def _again(job: _Job, recipe: Recipe, instead: Mapping[str, str] | None = None) -> Extractor:
    """The extractor that made a view, its weights known to be the same."""
    name = recipe.extractor
    try:
        return recorded(
            job.store,
            recipe.view,
            job.settings.get(name),
            instead,
            named_by=f"--set {name}.KEY=VALUE, weights with --set {name}.model=FOLDER",
        )
    except BadInputError as error:
        if f"--set {name}." in str(error):
            raise
        raise BadInputError(
            f"{recipe.view}: {error}; weights that lie elsewhere are named with --set {name}.model=FOLDER"
        ) from error


def _compute_faces(job: _Job, view: str, recipe: Recipe) -> set[str]:
    """Compute a view of speakers' own faces, with what it was derived from; the views that were filled."""
    from extractors.quality.matching import MatchDerivation, unmatched
    from extractors.quality.offset_search import OffsetSearch, around_recipe
    from extractors.quality.speaker_faces import SpeakerFaceDerivation

    store = job.store
    if recipe.modality != SpeakerFaceDerivation.slot or "min_similarity" not in recipe.settings:
        raise BadInputError(f"{view} was derived in a way that is not known for new clips")
    faces, reference = (store.recipe(store.view_of(fingerprint)) for fingerprint in recipe.inputs[:2])
    near = around_recipe(faces) if len(recipe.inputs) > 2 else None
    threshold = float(recipe.settings["min_similarity"])
    own = SpeakerFaceDerivation(faces, reference, near, threshold)
    made = own.recipes().values()
    if recipe not in made:
        raise BadInputError(
            f"{view} was derived by another version, this one gives {', '.join(each.view for each in made)}: run"
            " `affectstore derive` and train on its views"
        )
    if near is not None and len(store.wanted(faces)):
        matches = MatchDerivation(faces, reference)
        _fill(job, matches)
        searched = unmatched(store, faces, matches.recipes()["match"], threshold)
        if searched:
            around = _again(job, faces, {"sampling": "offsets"})
            _fill(job, OffsetSearch(around, job.device, job.on_load), searched)
    _fill(job, own)
    return {each.view for each in made}


def _fill(job: _Job, derivation: Derivation, ids: Sequence[str] | None = None) -> None:
    from feature_repo.fill import fill

    fill(
        job.store,
        list(derivation.recipes().values()),
        lambda missing: derivation.compute(job.store, missing),
        ids=ids,
        on_plan=job.show_plan,
        on_progress=job.on_progress,
    )
