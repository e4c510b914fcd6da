"""Derivations filled by hand, in the order of their inputs."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from extractors.quality.matching import MatchDerivation
from extractors.quality.references import ReferenceDerivation
from extractors.quality.speaker_faces import SpeakerFaceDerivation
from feature_repo.fill import FillReport, fill
from feature_repo.records import live_rows
from feature_repo.store import Store
from tests.extractors.quality.planted_faces import PlantedFaces

SAME = 0.5


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    PlantedFaces.asked.clear()
    PlantedFaces.loads.clear()


def run(store: Store, derivation: Any) -> FillReport:
    """Fill one derivation's views; no fault is expected."""
    report = fill(
        store, list(derivation.recipes().values()), lambda missing: derivation.compute(store, missing)
    )
    assert not report.faults_by_reason
    return report


@pytest.fixture
def derived() -> Callable[[Store], Mapping[str, FillReport]]:
    """References, matches and the speaker's faces of a planted store, without an offset search."""

    def fill_all(store: Store) -> Mapping[str, FillReport]:
        faces = store.recipe(store.catalog.slots("default")["faces_steps"])
        references = ReferenceDerivation(faces, SAME)
        reference = references.recipes()["reference"]
        steps = (
            references,
            MatchDerivation(faces, reference),
            SpeakerFaceDerivation(faces, reference, None, SAME),
        )
        reports = {}
        for step in steps:
            reports[step.name] = run(store, step)
            store.catalog.set("default", {slot: r.view for slot, r in step.recipes().items()})
        return reports

    return fill_all


def records(store: Store, slot: str) -> dict[str, dict[str, Any]]:
    """Id to note and columns of the live rows that the profile means by a slot."""
    rows = live_rows(store, store.catalog.slots("default")[slot])
    return {row["utterance_id"]: row for row in rows.drop("content_key").iter_rows(named=True)}
