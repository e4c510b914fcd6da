"""Parts are decided by the text alone, and no text is in two."""

from collections import Counter

import polars as pl
import pytest

from feature_repo.content import with_content_keys
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.texts import candidates, draw, normalised


def manifest(*rows: tuple[str, str, str, str | None], **more: str) -> pl.DataFrame:
    """Rows of (id, split, text, emotion)."""
    frames = []
    for corpus in sorted({row[0].split("/")[0] for row in rows}):
        own = [
            {"utterance_id": name, "split": split, "text": text, "emotion": emotion, **more}
            for name, split, text, emotion in rows
            if name.startswith(f"{corpus}/")
        ]
        types = {"emotion": pl.String, "text": pl.String}
        frames.append(with_content_keys(conform(pl.DataFrame(own, schema_overrides=types), corpus)))
    return pl.concat(frames)


def parts(rows: pl.DataFrame, **settings: object) -> dict[str, str]:
    found, _ = candidates(rows, TextEncoderConfig(**settings))  # type: ignore[arg-type]
    return dict(found.select("utterance_id", "part").iter_rows())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I'm SO  happy!!", "i m so happy"),
        ("@tom so happy http://t.co/x", "so happy"),
        ("so\u00a0happy", "so_happy"),
        ("ﬁne", "fine"),
        ("STRASSE", "straße"),
    ],
)
def test_the_same_words_are_the_same_text(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_an_emoticon_is_a_text_of_its_own() -> None:
    assert normalised(" :-) ") == ":-)" != normalised(":-(")


def test_draws_are_even_and_depend_on_purpose_and_text_alone() -> None:
    drawn = [draw("part", f"text {number}") for number in range(10_000)]
    tenths = Counter(int(number * 10) for number in drawn)
    assert all(900 < tenths[place] < 1100 for place in range(10))
    assert draw("part", "text 0") == drawn[0] != draw("order", "text 0")


def test_own_splits_stay_and_the_others_are_drawn() -> None:
    rows = [("a/1", "train", "one", "joy"), ("a/2", "dev", "two", "joy"), ("a/3", "test", "three", "joy")]
    others = [(f"b/{number}", "all", f"text {number}", "anger") for number in range(2000)]
    found = parts(manifest(*rows, *others), test_share=0.2)
    assert [found[name] for name in ("a/1", "a/2", "a/3")] == ["train", "validation", "test"]
    counts = Counter(part for name, part in found.items() if name.startswith("b/"))
    assert abs(counts["test"] - 400) < 60
    assert abs(counts["validation"] - 200) < 50
    # Another corpus moves no text.
    assert found == {**parts(manifest(*rows)), **parts(manifest(*others), test_share=0.2)}


def test_splits_can_be_drawn_for_all() -> None:
    rows = [(f"a/{number}", "test", f"text {number}", "joy") for number in range(500)]
    assert set(parts(manifest(*rows)).values()) == {"test"}
    assert Counter(parts(manifest(*rows), splits="drawn").values()).most_common(1)[0][0] == "train"


def test_a_text_of_two_parts_is_held_out_and_there_once() -> None:
    rows = manifest(
        ("a/1", "train", "Same words!", "joy"),
        ("a/2", "dev", "same words", "joy"),
        ("b/1", "test", "@you SAME words", "joy"),
        ("b/2", "train", "other words", "joy"),
    )
    assert parts(rows) == {"a/1": "test", "b/2": "train"}
    assert candidates(rows, TextEncoderConfig())[1] == {"the same text again": 2}


def test_a_text_of_two_emotions_is_left_out_or_kept_for_each_in_one_part() -> None:
    rows = manifest(
        ("a/1", "train", "hm", "joy"), ("a/2", "test", "Hm.", "anger"), ("a/3", "train", "yes", "joy")
    )
    found, left_out = candidates(rows, TextEncoderConfig())
    assert found["utterance_id"].to_list() == ["a/3"]
    assert left_out == {"the same text with several emotions": 2}
    assert parts(rows, several="keep") == {"a/1": "test", "a/2": "test", "a/3": "train"}


def test_what_cannot_be_learned_from_is_counted() -> None:
    rows = manifest(
        ("a/1", "train", "yes", None),
        ("a/2", "train", "  ", "joy"),
        ("a/3", "train", "yes", "joy"),
        language="en",
    )
    assert candidates(rows, TextEncoderConfig())[1] == {"no class in the label scheme": 1, "no text": 1}
    with pytest.raises(BadInputError, match="no row of a has a text and a class"):
        candidates(rows, TextEncoderConfig(languages=("de",)))
