import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selection import Selection
from feature_repo.selections import NamedSelection
from feature_repo.splits import SavedSplit
from tests.feature_repo.planted import new_store

MANIFEST = pl.DataFrame(
    {
        "utterance_id": ["m/0/0", "m/0/1", "i/0/0", "i/1/0"],
        "corpus": ["m", "m", "i", "i"],
        "split": ["train", "dev", "train", "train"],
        "emotion": ["joy", "fear", "joy", None],
        "speaker_id": ["m/a", "m/b", "i/a", None],
        "dialogue_id": ["m/0", "m/0", "i/0", "i/1"],
    }
)


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(), [0, 1, 2, 3]),
        (Selection(corpora=("m",)), [0, 1]),
        (Selection(splits=("train", "dev")), [0, 1, 2, 3]),
        (Selection(splits=("test",)), []),
        (Selection(emotions=("joy",)), [0, 2]),
        (Selection(emotions=("joy",), corpora=("i",)), [2]),
        (Selection(speakers=("m/b", "i/a")), [1, 2]),
        (Selection(dialogues=("i/1",)), [3]),
        (Selection(splits="dev"), [1]),  # type: ignore[arg-type]
    ],
)
def test_rows_match_every_field(selection, rows):
    assert selection.rows(MANIFEST).to_list() == rows


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(corpora=("x",)), "unknown corpus 'x'; allowed: i, m"),
        (Selection(splits=("valid",)), "unknown split 'valid'; allowed: all, dev, test, train"),
        (Selection(emotions=("joys",)), "unknown emotion 'joys'; allowed: fear, joy"),
        (Selection(speakers=("a",)), "unknown speaker 'a'; allowed: i/a, m/a, m/b"),
        (Selection(dialogues=("m/9",)), "unknown dialogue 'm/9'; allowed: i/0, i/1, m/0"),
    ],
)
def test_unknown_names_are_refused(selection, message):
    with pytest.raises(UnknownNameError) as caught:
        selection.rows(MANIFEST)
    assert str(caught.value) == message


def test_thousands_of_names_are_not_all_listed():
    manifest = pl.DataFrame({"dialogue_id": [f"d{number:04d}" for number in range(3000)]})
    with pytest.raises(UnknownNameError, match=r"\(3000 in all\)") as caught:
        Selection(dialogues=("x",)).rows(manifest)
    assert len(str(caught.value)) < 400


@pytest.fixture
def store(tmp_path):
    """A store that keeps two selections and a split of the utterances of ``MANIFEST``."""
    found = new_store(tmp_path)
    found.selections.save(NamedSelection("first", ["i/0/0", "m/0/0"]))
    found.selections.save(NamedSelection("second", ["i/1/0"]))
    parts = {"m/0/0": "train", "m/0/1": "test", "i/0/0": "test", "i/1/0": "train"}
    rows = {"utterance_id": list(parts), "corpus": ["m", "m", "i", "i"], "part": list(parts.values())}
    found.splits.save(SavedSplit("both", pl.DataFrame(rows)))
    return found


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("first", [0, 2]),
        ("both/test", [1, 2]),
        (None, [0, 1, 2, 3]),
        (Selection(selections=("first", "second")), [0, 2, 3]),
        (Selection(selections=("first",), parts=("both/test",)), [2]),
        (Selection(parts=("both/test", "both/train"), corpora=("m",)), [0, 1]),
        (Selection(selections="first", emotions=("joy",), splits=("train",)), [0, 2]),  # type: ignore[arg-type]
    ],
)
def test_saved_names_are_one_more_field(store, where, rows):
    assert Selection.of(where).rows(MANIFEST, store).to_list() == rows


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("third", "unknown selection 'third'; allowed: first, second"),
        ("neither/test", "unknown split 'neither'; allowed: both"),
        ("both/dev", "unknown part 'dev'; allowed: test, train, validation"),
    ],
)
def test_saved_names_that_do_not_exist_are_told_with_those_that_do(store, where, message):
    with pytest.raises(UnknownNameError) as caught:
        Selection.of(where).rows(MANIFEST, store)
    assert str(caught.value) == message


def test_a_part_wants_its_split_and_saved_names_a_store(store):
    with pytest.raises(BadInputError, match="expected SPLIT/PART, such as both/test"):
        Selection(parts=("both",)).rows(MANIFEST, store)
    with pytest.raises(BadInputError, match="'first' is saved in a store"):
        Selection.of("first").rows(MANIFEST)


def test_utterances_of_a_selection_that_no_manifest_has_any_more_are_counted(store):
    with pytest.warns(
        UserWarning, match="selection 'first': 1 of its 2 utterances are in no manifest any more"
    ):
        assert Selection.of("first").rows(MANIFEST.filter(corpus="m"), store).to_list() == [0]
