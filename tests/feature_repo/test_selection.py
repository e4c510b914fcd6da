import polars as pl
import pytest

from feature_repo.errors import UnknownNameError
from feature_repo.selection import Selection

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
