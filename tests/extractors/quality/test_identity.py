"""Hand-made faces on orthogonal axes: who is who, and every cosine, is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.quality.identity import Candidates, best_of_each, find_identity

WIDTH = 64
SPEAKER, FRIEND, WAITER = 0, 1, 2
SAME = 0.4


def face(person: int, cosine: float = 0.95, own: int = 0) -> np.ndarray:
    """A unit vector at this cosine to the person's axis; what differs lies on an axis of its own."""
    vector = np.zeros(WIDTH, np.float32)
    vector[person] = cosine
    vector[8 + own % (WIDTH - 8)] += np.sqrt(1 - cosine**2)
    return vector


def candidates(
    faces: list[tuple[int, int, np.ndarray]], share: list[float] | None = None, kept: tuple[int, ...] = ()
) -> Candidates:
    """From (clip, frame within the clip, embedding)."""
    clip = np.array([clip for clip, _, _ in faces], int)
    return Candidates(
        np.stack([vector for _, _, vector in faces]),
        clip,
        clip * 1000 + np.array([frame for _, frame, _ in faces], int),
        np.array(share or [0.1] * len(faces)),
        np.isin(np.arange(len(faces)), kept),
    )


def scene() -> list[tuple[int, int, np.ndarray]]:
    """The speaker in ten of fifteen clips; a friend in six, in twice as many frames of each."""
    faces = []
    for clip in range(15):
        if clip < 10:
            faces += [(clip, frame, face(SPEAKER, own=clip * 2 + frame)) for frame in range(2)]
        if clip >= 9:
            faces += [(clip, frame, face(FRIEND, own=clip * 2 + frame)) for frame in range(8)]
    return faces


def test_the_speaker_is_who_most_clips_show_not_who_has_most_faces() -> None:
    faces = scene()
    found = find_identity(candidates(faces), SAME)
    assert found is not None
    assert [int(np.argmax(faces[at][2])) for at in found.used] == [SPEAKER] * 20
    assert found.supporting == 10
    assert found.margin == pytest.approx(1 - 6 / 10)
    # Twenty faces with 0.95 on the speaker's axis, and each its own remainder, averaged.
    remainder = np.zeros(WIDTH)
    for clip in range(10):
        for frame in range(2):
            remainder += face(SPEAKER, own=clip * 2 + frame)
    assert found.reference == pytest.approx(remainder / np.linalg.norm(remainder), abs=1e-6)
    assert np.linalg.norm(found.reference) == pytest.approx(1, abs=1e-6)
    cosines = [float(faces[at][2] @ found.reference) for at in found.used]
    assert found.cohesion == pytest.approx(np.mean(cosines))


def test_one_face_a_frame_the_nearer_one() -> None:
    twin = [
        (0, 0, face(SPEAKER, 0.7, own=3)),
        (0, 0, face(SPEAKER, 0.99, own=4)),
        (1, 0, face(SPEAKER, own=5)),
    ]
    found = find_identity(candidates(twin), SAME)
    assert found is not None
    assert found.used.tolist() == [1, 2]
    assert found.margin == 1.0, "a second detection of the same person is nobody else"


def test_an_outlier_is_not_averaged() -> None:
    faces = [(clip, 0, face(SPEAKER, 0.97, own=clip)) for clip in range(8)]
    faces.append((8, 0, face(SPEAKER, 0.6, own=20)))
    found = find_identity(candidates(faces), SAME)
    assert found is not None
    assert found.used.tolist() == list(range(8))
    assert found.supporting == 8
    kept = find_identity(candidates(faces, kept=(8,)), SAME)
    assert kept is not None
    assert kept.used.tolist() == list(range(9)), "a person said so"


def test_near_identical_frames_reject_none_of_each_other() -> None:
    faces = [(0, frame, face(SPEAKER, 0.999, own=frame)) for frame in range(9)]
    faces.append((1, 0, face(SPEAKER, 0.97, own=30)))
    found = find_identity(candidates(faces), SAME)
    assert found is not None
    assert len(found.used) == 10


def test_two_people_in_one_clip_is_a_tie_that_size_decides_and_margin_tells() -> None:
    faces = [(0, 0, face(FRIEND)), (0, 0, face(SPEAKER))]
    found = find_identity(candidates(faces, share=[0.02, 0.2]), SAME)
    assert found is not None
    assert (found.used.tolist(), found.margin, found.supporting) == ([1], 0.0, 1)
    other = find_identity(candidates(faces, share=[0.2, 0.02]), SAME)
    assert other is not None
    assert (other.used.tolist(), other.margin) == ([0], 0.0)


def test_of_as_many_clips_the_more_frames_decide() -> None:
    faces = [(0, 0, face(FRIEND)), (0, 1, face(SPEAKER, own=1)), (0, 2, face(SPEAKER, own=2))]
    found = find_identity(candidates(faces, share=[0.5, 0.1, 0.1]), SAME)
    assert found is not None
    assert (found.used.tolist(), found.margin) == ([1, 2], 0.0)


@pytest.mark.parametrize("place", range(6))
def test_of_as_many_clips_the_more_frames_decide_among_many_people(place: int) -> None:
    # A crowd, each seen once, and the speaker in three frames, wherever they stand among the candidates.
    crowd = [(0, frame, face(1 + frame, own=frame)) for frame in range(6)]
    own = [(0, frame, face(SPEAKER, own=10 + frame)) for frame in range(place, place + 3)]
    faces = sorted(crowd + own, key=lambda each: each[1])
    share = [0.1 if np.argmax(vector) == SPEAKER else 0.3 for _, _, vector in faces]
    found = find_identity(candidates(faces, share=share), SAME)
    assert found is not None
    assert [int(np.argmax(faces[at][2])) for at in found.used] == [SPEAKER] * 3
    assert (found.supporting, found.margin) == (1, 0.0)


def test_a_kept_face_decides_who_it_is() -> None:
    faces = scene()
    friends = [at for at, (_, _, vector) in enumerate(faces) if np.argmax(vector) == FRIEND]
    found = find_identity(candidates(faces, kept=(friends[5],)), SAME)
    assert found is not None
    assert found.used.tolist() == friends
    assert (found.supporting, found.margin) == (6, 0.0), "more clips show somebody else: look again"


def test_a_kept_face_is_nobody_else_however_unlike_it_is() -> None:
    faces = [(clip, 0, face(SPEAKER, own=clip)) for clip in range(3)] + [(3, 0, face(WAITER, own=9))]
    found = find_identity(candidates(faces, kept=(0, 1, 3)), SAME)
    assert found is not None
    assert (found.used.tolist(), found.supporting, found.margin) == ([0, 1, 2, 3], 4, 1.0)


def test_nobody() -> None:
    none = np.zeros(0)
    empty = Candidates(np.zeros((0, WIDTH), np.float32), none, none, none, none)
    assert find_identity(empty, SAME) is None


def test_a_threshold_that_no_two_faces_reach_still_ends() -> None:
    faces = [(clip, 0, face(clip, own=clip)) for clip in range(3)]
    found = find_identity(candidates(faces), 1.5)
    assert found is not None
    assert (len(found.used), found.supporting, found.margin) == (1, 1, 0.0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 4))
def test_who_it_is_depends_on_neither_the_axes_nor_the_order_of_clips(
    seed: int, speaker_clips: int, friend_clips: int
) -> None:
    rng = np.random.default_rng(seed)
    people = np.linalg.qr(rng.standard_normal((64, 64)))[0][:2]
    faces = []
    for clip in range(max(speaker_clips, friend_clips)):
        for person, clips in ((0, speaker_clips), (1, friend_clips)):
            if clip < clips:
                vector = people[person] + 0.05 * rng.standard_normal(64)
                faces.append((clip, 0, (vector / np.linalg.norm(vector)).astype(np.float32)))
    share = list(rng.random(len(faces)))
    found = find_identity(candidates(faces, share), SAME)
    assert found is not None
    assert found.supporting == max(speaker_clips, friend_clips)
    fewer = min(speaker_clips, friend_clips)
    assert found.margin == pytest.approx(1 - fewer / found.supporting)
    turn = np.linalg.qr(rng.standard_normal((64, 64)))[0].astype(np.float32)
    turned = find_identity(candidates([(c, f, v @ turn) for c, f, v in faces], share), SAME)
    assert turned is not None
    assert np.array_equal(turned.used, found.used)
    assert turned.reference == pytest.approx(found.reference @ turn, abs=1e-5)
    backwards = [(100 - clip, frame, vector) for clip, frame, vector in reversed(faces)]
    other = find_identity(candidates(backwards, share[::-1]), SAME)
    assert other is not None
    assert sorted(len(faces) - 1 - other.used) == found.used.tolist()


def test_best_of_each_is_the_greatest_and_the_earliest_of_equals() -> None:
    group = np.array([5, 5, 2, 2, 2, 9])
    worth = np.array([0.1, 0.2, 0.3, 0.3, 0.1, -1.0])
    assert best_of_each(group, worth).tolist() == [2, 1, 5]
