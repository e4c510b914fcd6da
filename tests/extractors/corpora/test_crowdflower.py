"""CrowdFlower: the official file, its damaged characters and its policies."""

from collections import Counter
from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform


def write(folder: Path, *rows: str, header: str = "tweet_id,sentiment,author,content") -> Path:
    (folder / "text_emotion.csv").write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return folder


def test_official_file(samples: Path) -> None:
    rows = conform(reader("crowdflower").read(samples / "data" / "crowdflower"), "crowdflower")
    assert rows.height == 40_000
    assert rows["label_raw"].n_unique() == 13
    counts = Counter(rows["emotion"])
    # Label counts of the file, counted with cut | sort | uniq.
    assert counts["joy"] == 759 + 1776 + 5209 + 1526 + 3842
    assert counts["anger"] == 1323 + 110
    assert counts[None] == 8459 + 179 + 827
    assert "fear" not in counts
    # No UTF-8 read as Latin-1 is left: such text holds no U+0080 to U+009F and no A with circumflex or tilde.
    assert not rows["text"].str.contains("[\u0080-\u009fÂÃ]").any()


def test_worry_is_a_policy(samples: Path) -> None:
    rows = reader("crowdflower").read(samples / "data" / "crowdflower", worry="fear")
    assert Counter(rows["emotion"])["fear"] == 8459
    assert set(rows.filter(emotion="fear")["label_note"]) == {"policy worry=fear"}
    with pytest.raises(UnknownNameError, match="drop, fear"):
        reader("crowdflower").read(samples / "data" / "crowdflower", worry="joy")


def test_text_is_repaired_and_entities_stay(tmp_path: Path) -> None:
    folder = write(tmp_path, '1,love,ann,"caf\u00c3\u00a9, &lt;3"', "2,hate,,won\u00ef\u00bf\u00bdt")
    rows = reader("crowdflower").read(folder)
    assert rows["text"].to_list() == ["café, &lt;3", "won\ufffdt"]
    assert rows["speaker_id"].to_list() == ["crowdflower/ann", None]
    assert rows["utterance_id"].to_list() == ["crowdflower/1", "crowdflower/2"]
    assert reader("crowdflower").read(folder / "text_emotion.csv").height == 2


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"text_emotion\.csv"):
        reader("crowdflower").read(tmp_path)
    with pytest.raises(UnknownNameError, match="'content'.*tweet"):
        reader("crowdflower").read(write(tmp_path, "1,love,ann,x", header="tweet_id,sentiment,author,tweet"))
    with pytest.raises(UnknownNameError, match="'joyful'"):
        reader("crowdflower").read(write(tmp_path, "1,joyful,ann,x"))
