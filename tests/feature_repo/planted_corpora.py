"""Planted corpora for splits: people, dialogues, recordings and texts that are known, as a manifest would hold them."""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from feature_repo.manifest import conform

EMOTIONS = ("neutral", "joy", "anger", None)


def manifest(corpus: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Manifest rows of a corpus from what is said of each; ids are numbered unless given."""
    told = [{"utterance_id": f"{corpus}/{place:05}", **row} for place, row in enumerate(rows)]
    names = sorted({name for row in told for name in row})
    columns = {name: [row.get(name) for row in told] for name in names}
    return conform(pl.DataFrame(columns, strict=False, infer_schema_length=None), corpus)


def acted(corpus: str, speakers: int, each: int = 7) -> pl.DataFrame:
    """So many people who each say the same words in every emotion, into a file each."""
    return manifest(
        corpus,
        [
            {
                "speaker_id": f"{corpus}/s{speaker:03}",
                "text": f"sentence {number % 3}",
                "language": "en",
                "emotion": EMOTIONS[number % 3],
                "media_uri": f"/{corpus}/s{speaker}_{number}.wav",
            }
            for speaker in range(speakers)
            for number in range(each)
        ],
    )


def talked(corpus: str, dialogues: int, turns: int = 6) -> pl.DataFrame:
    """Conversations with official splits, the same four people in all of them."""
    rows = []
    for dialogue in range(dialogues):
        split = ("train", "train", "train", "dev", "test")[dialogue % 5]
        for turn in range(turns):
            rows.append(
                {
                    "utterance_id": f"{corpus}/{split}/dia{dialogue}_utt{turn}",
                    "dialogue_id": f"{corpus}/{split}/dia{dialogue}",
                    "turn": turn,
                    "split": split,
                    "speaker_id": f"{corpus}/{'abcd'[(dialogue + turn) % 4]}",
                    "text": "Yeah!" if turn == 1 else f"what was said in {dialogue}, {turn}",
                    "language": "en",
                    "emotion": EMOTIONS[(dialogue * turn) % 3],
                }
            )
    return manifest(corpus, rows)


def unsigned(corpus: str, rows: int, texts: int | None = None) -> pl.DataFrame:
    """Texts that nobody signed, some of them written several times."""
    return manifest(
        corpus,
        [{"text": f"post {row % (texts or rows)}", "emotion": EMOTIONS[row % 4]} for row in range(rows)],
    )


def _row() -> st.SearchStrategy[dict[str, Any]]:
    def one_of(*values: Any) -> st.SearchStrategy[Any]:
        return st.sampled_from(values)

    return st.fixed_dictionaries(
        {
            "speaker_id": one_of(None, *(f"c/s{number}" for number in range(9))),
            "dialogue_id": one_of(None, None, None, "c/d1", "c/d2", "c/d3"),
            "text": one_of(None, "", "yes", "no", "one", "two", "three", "four", "five"),
            "emotion": one_of(*EMOTIONS),
            "language": one_of("en", "zh"),
            "media_uri": one_of(None, None, "/a.wav", "/b.wav", "/c.wav"),
            "start_s": one_of(None, 0.0, 2.0),
        }
    )


def any_corpus() -> st.SearchStrategy[pl.DataFrame]:
    """A corpus ``c`` of 1 to 40 rows tied together in any way."""
    return st.lists(_row(), min_size=1, max_size=40).map(lambda rows: manifest("c", rows))
