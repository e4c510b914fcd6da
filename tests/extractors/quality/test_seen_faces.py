"""What was seen in an utterance, from faces that its text spells out, and its frames read again."""

from pathlib import Path

import numpy as np
import pytest

from extractors.media import MissingMedia
from extractors.quality.matching import MatchDerivation
from extractors.quality.references import ReferenceDerivation
from extractors.quality.seen_faces import frames_of, seen_faces, spread
from feature_repo.records import live_values
from tests.extractors.quality.conftest import run
from tests.extractors.quality.planted_faces import planted_store
from tests.planted_media import write_mp4

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A0.99@0.5 B@0.5 -@1.5 A0.9@2.5"),
    "c/a1": ("ann", "A0.99@0.5"),
    "c/a2": ("ann", "-@0.5"),
}


def test_every_stored_face_with_its_box_and_cosine(tmp_path: Path, derived) -> None:
    store = planted_store(tmp_path, CLIPS)
    derived(store)
    views = store.catalog.slots("default")
    seen = seen_faces(store, views, list(CLIPS))
    assert seen["c/a0"].times == (0.5, 1.5, 2.5)
    assert [(face.index, face.time_s, face.x, face.width) for face in seen["c/a0"].faces] == [
        (0, 0.5, 20.0, 100.0),
        (1, 0.5, 280.0, 100.0),
        (2, 2.5, 20.0, 100.0),
    ]
    reference = live_values(store, views["reference"], ["ann"])["ann"]
    faces = live_values(store, views["faces_steps"], ["c/a0"])["c/a0"]
    assert [face.similarity for face in seen["c/a0"].faces] == pytest.approx(
        (faces @ reference).tolist(), abs=1e-6
    )
    assert [face.index for face in seen["c/a0"].at(0.5)] == [0, 1]
    assert seen["c/a0"].at(1.5) == []
    assert (seen["c/a2"].times, seen["c/a2"].faces) == ((0.5,), ())
    assert "c/a3" not in seen_faces(store, views, ["c/a3"])


def test_without_matches_a_face_has_no_cosine(tmp_path: Path) -> None:
    store = planted_store(tmp_path, CLIPS)
    seen = seen_faces(store, {"faces_steps": store.catalog.slots("default")["faces_steps"]}, ["c/a1"])
    assert [face.similarity for face in seen["c/a1"].faces] == [None]


def test_frames_of_the_offset_search_come_last(tmp_path: Path) -> None:
    from extractors.extraction import extract
    from tests.extractors.quality.planted_faces import PlantedFaces, PlantedSettings

    store = planted_store(tmp_path, {"c/a0": ("ann", "A0.99@0.5"), "c/a1": ("ann", "-@0.5 | -@0.4 A@0.6")})
    extract(store, [PlantedFaces(PlantedSettings(sampling="offsets"))], profile="default")
    views = store.catalog.slots("default")
    faces = store.recipe(views["faces_steps"])
    references = ReferenceDerivation(faces, 0.5)
    run(store, references)
    offsets = store.recipe(views["offsets_steps"])
    matches = MatchDerivation(offsets, references.recipes()["reference"], "offsetmatch")
    run(store, matches)
    seen = seen_faces(store, {**views, "offsetmatch": matches.recipes()["offsetmatch"].view}, ["c/a1"])[
        "c/a1"
    ]
    assert seen.times == pytest.approx((0.5, 0.6))  # of those around only the one with a face
    assert seen.faces[0].view == offsets.view
    assert seen.faces[0].similarity == pytest.approx(0.95 * 0.99, abs=0.02)


def test_frames_are_those_of_the_utterances_span(tmp_path: Path) -> None:
    # 12 frames a second; each is as bright as its number.
    shown = [np.full((64, 64, 3), 5 * number, np.uint8) for number in range(36)]
    write_mp4(tmp_path / "clip.mp4", shown, None)
    row = {"media_uri": str(tmp_path / "clip.mp4"), "start_s": 1.0, "end_s": 2.5}
    frames = frames_of(row, [1.0, 0.5, 0.5])
    assert [frame.time_s for frame in frames] == [0.5, 1.0]
    assert [frame.image.mean() / 5 for frame in frames] == pytest.approx([18, 24], abs=0.6)
    with pytest.raises(MissingMedia, match=r"gone\.mp4"):
        frames_of({**row, "media_uri": str(tmp_path / "gone.mp4")}, [0.5])


@pytest.mark.parametrize(
    ("count", "always", "chosen"),
    [
        (4, (), [0.5, 2.5, 5.5, 7.5]),
        (4, (3.5,), [0.5, 3.5, 4.5, 7.5]),
        (1, (3.5,), [3.5]),
        (9, (3.6,), [0.5, 1.5, 2.5, 3.5, 3.6, 4.5, 5.5, 6.5, 7.5]),
    ],
)
def test_a_few_of_many_times(count, always, chosen) -> None:
    times = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert spread(times, count, always) == chosen


def test_no_times_at_all() -> None:
    assert spread([], 4) == []
