"""Saved splits: kept whole, told by a digest of who is where, and rid of what is forgotten."""

import hashlib
import json

import polars as pl
import pytest

from feature_repo.erasure import forget
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.splits import SavedSplit
from feature_repo.store import Store
from tests.feature_repo.planted import new_store, rows, texts

PARTS = {"c/0000": "train", "c/0001": "test", "c/0002": "validation", "d/0000": "test"}


def split(name: str = "s", parts: dict[str, str] = PARTS, **more) -> SavedSplit:
    frame = pl.DataFrame(
        {"utterance_id": list(parts), "corpus": [key[0] for key in parts], "part": list(parts.values())},
        schema={"utterance_id": pl.String, "corpus": pl.String, "part": pl.String},
    )
    return SavedSplit(name, frame, **more)


@pytest.fixture
def store(tmp_path) -> Store:
    made = new_store(tmp_path)
    made.write_manifest("c", rows(texts("c", 3)))
    made.write_manifest("d", rows(texts("d", 1)))
    return made


def test_a_split_comes_back_with_how_it_was_made(store):
    made = {"shares": {"train": 0.7}, "seed": 3, "rules": {"c": "speaker"}}
    store.splits.save(split(made=made, created="2026-01-01T00:00:00+00:00"))
    found = store.splits.load("s")
    assert dict(found.rows.select("utterance_id", "part").iter_rows()) == PARTS
    assert (found.name, found.made, found.created) == ("s", made, "2026-01-01T00:00:00+00:00")
    assert store.splits.names() == ["s"]
    assert found.corpora == ["c", "d"]
    assert found.ids("test") == ["c/0001", "d/0000"]
    assert found.ids("test", ["d"]) == ["d/0000"]


def test_the_digest_is_that_of_the_members_alone():
    plain = json.dumps(
        {"test": ["c/0001", "d/0000"], "train": ["c/0000"], "validation": ["c/0002"]}, separators=(",", ":")
    )
    expected = hashlib.sha256(plain.encode()).hexdigest()
    assert split().digest == expected
    turned = dict(reversed(PARTS.items()))
    assert split("other", turned, made={"seed": 1}, created="later").digest == expected
    assert split(parts={**PARTS, "c/0000": "test"}).digest != expected


def test_the_part_of_any_utterances_in_their_order():
    asked = pl.Series(["d/0000", "x/1", "c/0002", "d/0000"])
    assert split().part_of(asked).to_list() == ["test", None, "validation", "test"]


def test_an_utterance_in_two_parts_and_an_unknown_part_are_refused(store):
    twice = split()
    twice = SavedSplit("s", pl.concat([twice.rows, twice.rows.head(1).with_columns(part=pl.lit("test"))]))
    with pytest.raises(BadInputError, match="c/0000 is in it twice"):
        store.splits.save(twice)
    with pytest.raises(BadInputError, match="part 'dev'; allowed: train, validation, test"):
        store.splits.save(split(parts={"c/0000": "dev"}))
    with pytest.raises(BadInputError, match="split name '../s'"):
        store.splits.save(split("../s"))
    assert store.splits.names() == []


def test_an_unknown_one_is_named_and_a_damaged_one_told(store):
    with pytest.raises(UnknownNameError, match="unknown split 's'; allowed: none exist yet"):
        store.splits.load("s")
    store.splits.save(split())
    store.files.write("splits/t.parquet", store.files.read("splits/s.parquet")[:-20])
    with pytest.raises(BadInputError, match=r"splits/t.parquet is damaged .* save the split again"):
        store.splits.load("t")
    # A verdict's file in its place is not a split either.
    pl.DataFrame({"utterance_id": ["c/0000"]}).write_parquet(store.files.local_path("splits/u.parquet"))
    with pytest.raises(BadInputError, match=r"splits/u.parquet is damaged"):
        store.splits.load("u")
    store.splits.remove("s")
    with pytest.raises(UnknownNameError, match="'s'; allowed: t, u"):
        store.splits.remove("s")


def test_what_is_forgotten_leaves_every_split_and_selection(store):
    from feature_repo.selections import NamedSelection

    store.splits.save(split())
    store.selections.save(NamedSelection("a", ["c/0000", "c/0001"]))
    forget(store, ["c/0001"])
    assert store.splits.load("s").ids("test") == ["d/0000"]
    assert store.selections.load("a").ids == ["c/0000"]
    data = store.files.read("splits/s.parquet") + store.files.read("selections/a.parquet")
    assert b"c/0001" not in data


def test_what_was_made_before_something_was_forgotten_is_kept_without_it(store):
    from feature_repo.named_verdicts import NamedVerdict
    from feature_repo.selections import NamedSelection

    made = split()
    judged = pl.DataFrame({"utterance_id": ["c/0000", "c/0001"], "passed": True, "reason": None})
    forget(store, ["c/0001"])
    store.splits.save(made)
    store.selections.save(NamedSelection("a", ["c/0000", "c/0001"]))
    store.verdicts.save(NamedVerdict("v", judged))
    assert "c/0001" not in store.splits.load("s").rows["utterance_id"]
    assert store.selections.load("a").ids == store.verdicts.load("v").ids == ["c/0000"]
