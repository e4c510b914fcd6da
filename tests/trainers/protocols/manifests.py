"""Small manifests for protocols."""

import polars as pl


def manifest_of(speakers: list[str | None], splits: list[str] | None = None) -> pl.DataFrame:
    """Rows of one corpus `c`, one per speaker named."""
    rows = len(speakers)
    return pl.DataFrame(
        {
            "utterance_id": [f"c/{row}" for row in range(rows)],
            "corpus": ["c"] * rows,
            "split": splits or ["all"] * rows,
            "speaker_id": speakers,
        },
        schema_overrides={"speaker_id": pl.String},
    )
