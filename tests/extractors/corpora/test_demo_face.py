"""Drawn faces: who it is can be told by a descriptor of faces, whatever the mood, and the mood shows too."""

import cv2
import numpy as np

from extractors.corpora.demo_face import LOOKS, draw_face, draw_room
from extractors.corpora.demo_voice import VOICES
from feature_repo.labels import EMOTIONS


def edges(picture: np.ndarray) -> np.ndarray:
    """OpenCV's histogram of oriented gradients, not the one that the demonstration's extractor uses."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 128), interpolation=cv2.INTER_AREA)
    vector = np.asarray(cv2.HOGDescriptor().compute(small)).ravel()
    return vector / np.linalg.norm(vector)


def test_everybody_with_a_voice_has_a_face() -> None:
    assert set(LOOKS) == set(VOICES)


def test_every_person_and_mood_looks_different() -> None:
    faces = [draw_face(person, emotion, 0.3) for person in LOOKS for emotion in EMOTIONS]
    assert len({face.tobytes() for face in faces}) == len(faces)
    assert {(face.shape, face.dtype.name) for face in faces} == {((120, 160, 3), "uint8")}


def test_a_person_is_more_like_themselves_than_anybody_else_whatever_the_mood() -> None:
    vectors = np.array(
        [
            [edges(draw_face(person, mood, opened)) for mood in EMOTIONS for opened in (0, 1)]
            for person in LOOKS
        ]
    )
    means = vectors.mean(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosine = np.einsum("pmd,qd->pqm", vectors, means)
    own = np.eye(len(LOOKS), dtype=bool)
    assert cosine[own].min() > cosine[~own].max() + 0.05


def test_a_mouth_opens() -> None:
    red = [(draw_face("Ada", "neutral", opened) == (150, 30, 40)).all(axis=2).sum() for opened in (0, 0.5, 1)]
    assert red[0] < red[1] < red[2]


def test_an_empty_room_is_one_colour_and_nobodys_face_alters_it() -> None:
    before = draw_room("Ada").copy()
    assert len(np.unique(before.reshape(-1, 3), axis=0)) == 1
    draw_face("Ada", "joy", 0.5)
    assert (draw_room("Ada") == before).all()
