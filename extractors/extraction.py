"""An extraction: a runner's features filled into a store, and the catalogue pointed at them."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence

from extractors.engines.ray_cluster import RayPlace
from extractors.engines.ray_engine import RayEngine
from extractors.protocol import Extractor
from extractors.runner import Runner
from extractors.transcript_source import heard, reading_transcripts
from feature_repo.fill import FillReport, ViewPlan, fill
from feature_repo.store import Store


def extract(
    store: Store,
    extractors: Sequence[Extractor],
    *,
    profile: str,
    corpora: Sequence[str] | None = None,
    ids: Collection[str] | None = None,
    retry_faults: bool = False,
    device: str = "auto",
    ray: RayPlace | None = None,
    on_plan: Callable[[Mapping[str, ViewPlan]], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_load: Callable[[str], None] | None = None,
) -> tuple[FillReport, Runner]:
    """Compute what the store lacks of the extractors' recipes.

    Afterwards the profile means these views, also when the run was interrupted; not when everything failed.

    Args:
        store: the store.
        extractors: models not loaded; nothing is loaded for what is there already.
        profile: catalogue profile that is pointed at the views.
        corpora: only these corpora; all by default.
        ids: only these utterances.
        retry_faults: try again what failed before with the same content.
        device: ``auto``, ``cpu``, ``cuda``.
        ray: compute on Ray's workers there; in this process by default.
        on_plan: told the plan before anything is computed.
        on_progress: told 1 after each outcome.
        on_load: told an extractor's name when its model is loaded.

    Raises:
        UnknownNameError: a corpus that was not ingested.
        BadInputError: weights that are not at hand, a model that could not be loaded; with Ray also what
            :meth:`~extractors.engines.ray_engine.RayEngine.compute` raises.
        StoreWriteError: disk full or read-only.
    """
    for extractor in extractors:
        for remark in extractor.remarks(store.manifest()["utterance_id"]):
            warnings.warn(remark, stacklevel=2)
    extractors = [reading_transcripts(store, extractor) for extractor in extractors]
    runner = Runner(
        extractors,
        store.manifest(corpora),
        device=device,
        heard=lambda transcript: heard(store, transcript),
        on_load=on_load,
    )
    compute = runner.compute if ray is None else RayEngine(runner, ray, on_load=on_load).compute
    slots = {recipe.slot: recipe.view for recipe in runner.recipes()}
    try:
        report = fill(
            store,
            runner.recipes(),
            compute,
            corpora=corpora,
            ids=ids,
            retry_faults=retry_faults,
            provenance=runner.provenance(),
            on_plan=on_plan,
            on_progress=on_progress,
        )
    except KeyboardInterrupt:
        there = set(store.views())
        store.catalog.set(profile, {slot: view for slot, view in slots.items() if view in there})
        raise
    if not report.everything_failed:
        store.catalog.set(profile, slots)
    return report, runner
