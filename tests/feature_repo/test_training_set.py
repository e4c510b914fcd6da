import numpy as np
import polars as pl
import pytest

from feature_repo.errors import StoreWriteError
from feature_repo.fill import fill
from feature_repo.training_set import TrainingSet
from tests.feature_repo.planted import STEPS as LETTER_STEPS
from tests.feature_repo.planted import TEXT as LETTERS
from tests.feature_repo.planted import Extraction, new_store, numbers
from tests.feature_repo.planted import rows as rows_of
from tests.feature_repo.planted_feast import NOTHING, STEPS, TEXT, make_store, planted, write

TEXTS = {"c/0": "a", "c/1": NOTHING, "c/2": "b", "c/3": "c"}


def store_of(folder):
    store = make_store(folder, TEXTS)
    rows = pl.DataFrame(
        {"utterance_id": list(TEXTS), "text": list(TEXTS.values()), "emotion": ["joy", "fear", None, "joy"]}
    )
    store.write_manifest("c", rows)
    return store


@pytest.fixture
def outer(tmp_path) -> TrainingSet:
    return store_of(tmp_path).pull(["text", "text_steps"], ids=["c/3", "c/1", "c/2"], join="outer")


def test_frames_hold_the_planted_numbers_and_null_for_none(outer):
    frame = outer.to_polars()
    assert frame["utterance_id"].to_list() == ["c/3", "c/1", "c/2"]
    assert frame["label"].to_list() == ["joy", "fear", None]
    assert frame["text"][1] is None
    assert frame["text_steps"][1] is None
    assert frame["text"][0].to_list() == planted(TEXT, "c").tolist()
    np.testing.assert_array_equal(frame["text_steps"][2].to_numpy(), planted(STEPS, "b"))


def test_tensors_are_the_arrays(outer):
    import torch

    tensors = outer.tensors()
    assert set(tensors) == {"text", "text_present", "text_steps_present", "labels"}
    assert tensors["text"].dtype == torch.float32
    np.testing.assert_array_equal(tensors["text"][2].numpy(), planted(TEXT, "b"))
    assert tensors["text_present"].tolist() == [True, False, True]
    assert tensors["labels"].tolist() == [outer.classes.index("joy"), outer.classes.index("fear"), -1]
    tensors["text"][1] = 7.0  # its own memory, not the mirror's
    assert outer.features["text"][1].tolist() == [7.0] * 3


def test_numpy_has_the_names_of_the_tensors_and_their_numbers(outer):
    arrays, tensors = outer.numpy(), outer.tensors()
    assert list(arrays) == list(tensors)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, tensors[name].numpy())


def test_a_loader_gets_the_rows_and_their_sequences_padded(tmp_path):
    from torch.utils.data import DataLoader

    texts = {"c/0": "ab", "c/1": "", "c/2": "abcd", "c/3": "a", "c/4": "abc"}
    store = new_store(tmp_path)
    store.write_manifest("c", rows_of(texts, emotion=["joy", "fear", None, "joy", "anger"]))
    fill(store, [LETTERS, LETTER_STEPS], Extraction(store, [LETTERS, LETTER_STEPS]))
    data = store.pull([LETTERS.view, LETTER_STEPS.view], join="outer")
    seen = []
    for batch in DataLoader(range(len(data)), batch_size=2, sampler=[4, 1, 2, 2, 0], collate_fn=data.batch):
        for at, label in enumerate(batch["labels"].tolist()):
            known = label >= 0
            seen.append((data.classes[label] if known else None, int(batch["text_steps_mask"][at].sum())))
        lengths = batch["text_steps_mask"].sum(1)
        assert batch["text_steps"].shape == (len(lengths), int(lengths.max()), LETTER_STEPS.width)
        assert not batch["text_steps"][~batch["text_steps_mask"]].any()
    assert seen == [("anger", 3), ("fear", 0), (None, 4), (None, 4), ("joy", 2)]
    batch = data.batch([4, 1])
    np.testing.assert_array_equal(batch["text"][0].numpy(), numbers(LETTERS, "abc"))
    np.testing.assert_array_equal(batch["text_steps"][0].numpy(), numbers(LETTER_STEPS, "abc"))
    assert batch["text_present"].tolist() == [True, False]
    with pytest.raises(IndexError):
        data.batch([5])


def test_a_set_is_told_in_one_line(tmp_path):
    found = store_of(tmp_path).pull(["text", "text_steps"])
    assert repr(found) == "TrainingSet(3 utterances; text [3], text_steps [n, 3]; 7 classes)"


def test_an_archive_reads_without_pickle(outer, tmp_path):
    outer.save_npz(tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as archive:
        assert archive["ids"].tolist() == ["c/3", "c/1", "c/2"]
        assert archive["classes"].tolist() == list(outer.classes)
        assert archive["snapshot"].item() == outer.snapshot()
        np.testing.assert_array_equal(archive["text"][0], planted(TEXT, "c"))
        assert archive["text_steps_offsets"].tolist() == [0, 2, 2, 4]
        np.testing.assert_array_equal(archive["text_steps"][2:], planted(STEPS, "b"))
        assert archive["text_present"].tolist() == [True, False, True]
        assert len(set(archive["text_content_key"].tolist())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "set.npz", "store"]


def test_an_archive_that_cannot_be_written_is_told(outer, tmp_path):
    with pytest.raises(StoreWriteError, match=r"absent/set\.npz"):
        outer.save_npz(tmp_path / "absent" / "set.npz")


def test_a_snapshot_moves_with_what_the_numbers_depend_on_and_with_nothing_else(tmp_path):
    store = store_of(tmp_path)
    ids = ["c/3", "c/2", "c/0"]
    snapshot = store.pull(["text"], ids=ids).snapshot()
    assert store.pull([TEXT.view], ids=ids, join="outer").snapshot() == snapshot
    assert store.pull(["text"], ids=ids[::-1]).snapshot() != snapshot
    assert store.pull(["text"], ids=ids[:2]).snapshot() != snapshot
    assert store.pull(["speaker"], ids=ids).snapshot() != snapshot
    assert store.pull(["text"], ids=ids, labels="sentiment3").snapshot() != snapshot
    # A row elsewhere changes; then one of these; then it is changed back.
    rows = store.manifest()
    for name, same in (("c/1", True), ("c/3", False)):
        texts = {**TEXTS, name: "changed"}
        write(store, texts, [TEXT])
        changed = rows.with_columns(text=pl.Series(list(texts.values())))
        store.write_manifest("c", changed)
        assert (store.pull(["text"], ids=ids).snapshot() == snapshot) is same
    write(store, TEXTS, [TEXT])
    store.write_manifest("c", rows)
    assert store.pull(["text"], ids=ids).snapshot() == snapshot
    # A label.
    store.write_manifest("c", rows.with_columns(emotion=pl.lit("fear")))
    assert store.pull(["text"], ids=ids).snapshot() != snapshot
