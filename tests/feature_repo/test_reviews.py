"""Reviews: the newest decision on a thing counts, whoever wrote it, and what can't be one is refused by name."""

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from feature_repo.erasure import forget
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store, open_store
from tests.feature_repo.planted import memory_root, new_store, rows


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    store = new_store(tmp_path, None if request.param == "folder" else memory_root())
    store.write_manifest("c", rows({f"c/{number}": "x" for number in range(9)}))
    return store


def decisions(*found: tuple[object, ...]) -> pl.DataFrame:
    """Rows of (utterance, view, face, decision)."""
    columns = {"utterance_id": pl.String, "view": pl.String, "face": pl.Int64, "decision": pl.String}
    return pl.DataFrame(found, columns, orient="row")


def test_the_newest_decision_on_a_thing_counts(store):
    assert store.reviews.read().is_empty()
    assert store.reviews.stamp() == ""
    first = decisions(
        ("c/1", None, None, "offscreen"), ("c/1", "faces_x_1", 0, "reject"), ("c/1", "faces_x_1", 1, "keep")
    )
    assert store.reviews.add(first) == 3
    stamp = store.reviews.stamp()
    assert store.reviews.add(first) == 0
    assert store.reviews.stamp() == stamp
    changed = decisions(
        ("c/1", None, None, "misaligned"), ("c/1", None, None, "keep"), ("c/1", "faces_y_2", 0, "keep")
    )
    assert store.reviews.add(changed) == 2
    assert store.reviews.stamp() != stamp
    found = open_store(store.root, cache=str(store.cache)).reviews.read()
    assert list(found.iter_rows()) == [
        ("c/1", None, None, "keep", None),
        ("c/1", "faces_x_1", 0, "reject", None),
        ("c/1", "faces_x_1", 1, "keep", None),
        ("c/1", "faces_y_2", 0, "keep", None),
    ]


def test_a_comment_is_kept_and_utterances_may_come_alone(store):
    said = pl.DataFrame({"utterance_id": ["c/1"], "decision": ["offscreen"], "comment": ["behind the sofa"]})
    store.reviews.add(said)
    assert list(store.reviews.read().iter_rows()) == [("c/1", None, None, "offscreen", "behind the sofa")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("c/1", None, None, "reject"), "'reject' on the utterance; allowed: keep, offscreen, misaligned"),
        (("c/1", "v", 0, "offscreen"), "'offscreen' on the face 0; allowed: keep, reject"),
        (("c/1", None, None, None), "decision None"),
        (("c/1", None, 0, "keep"), "face 0 of view None"),
        (("c/1", "v", None, "keep"), "face None of view 'v'"),
        (("c/1", "v", -1, "keep"), "face -1 of view 'v'"),
    ],
)
def test_what_is_no_decision_is_refused_and_changes_nothing(store, row, message):
    with pytest.raises(BadInputError, match=message):
        store.reviews.add(decisions(("c/2", None, None, "keep"), row))
    assert store.reviews.read().is_empty()


def test_unknown_names_are_told(store):
    with pytest.raises(UnknownNameError, match="unknown utterance 'c/99'"):
        store.reviews.add(decisions(("c/1", None, None, "keep"), ("c/99", None, None, "keep")))
    with pytest.raises(UnknownNameError, match="unknown review column 'verdict'; allowed: comment, decision"):
        store.reviews.add(pl.DataFrame({"utterance_id": ["c/1"], "decision": ["keep"], "verdict": ["keep"]}))
    with pytest.raises(BadInputError, match="no column 'decision'"):
        store.reviews.add(pl.DataFrame({"utterance_id": ["c/1"]}))
    with pytest.raises(BadInputError, match="wrong type"):
        store.reviews.add(pl.DataFrame({"utterance_id": ["c/1"], "decision": ["keep"], "face": ["first"]}))


def test_what_is_forgotten_leaves_the_reviews_and_stays_out(store):
    store.reviews.add(decisions(("c/1", None, None, "offscreen"), ("c/2", None, None, "keep")))
    forget(store, ["c/1"])
    assert store.reviews.read()["utterance_id"].to_list() == ["c/2"]
    with pytest.raises(UnknownNameError, match="c/1"):
        store.reviews.add(decisions(("c/1", None, None, "keep")))


def test_reviewers_at_once_lose_nothing(store):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.reviews.add(decisions((f"c/{n}", None, None, "offscreen"))), range(9)))
    assert store.reviews.read().height == 9


def test_a_damaged_file_is_named(store):
    store.files.write("quality/reviews.parquet", b"half a review")
    with pytest.raises(BadInputError, match=r"reviews\.parquet is damaged"):
        store.reviews.read()
