"""The command ``review``: out, a person's decisions, and in again."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from extractors.quality.derivation import derive
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.quality_config import load_quality_config
from feature_repo.records import live_rows
from tests.extractors.quality.planted_faces import manifest, planted_store
from tests.planted_media import write_mp4

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("c/ann", "A0.99@0.5 B0.99@0.5"),
    "c/a1": ("c/ann", "A0.99@0.5 B0.99@0.5"),
    "c/a2": ("c/ann", "A0.99@0.5"),
    "c/e0": ("c/eve", "C0.99@0.5"),
}
THRESHOLD = "face.planted.similarity=0.5"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_mp4(tmp_path / "clip.mp4", [np.full((300, 400, 3), 90, np.uint8)] * 12, None)
    made = planted_store(tmp_path, CLIPS)
    made.write_manifest("c", manifest(CLIPS).with_columns(media_uri=pl.lit(str(tmp_path / "clip.mp4"))))
    made.files.write("quality.toml", b'[face.planted]\nsimilarity = 0.5\nsource = "planted"\n')
    monkeypatch.setenv("AFFECTSTORE_ROOT", made.root)
    monkeypatch.setenv("COLUMNS", "200")
    again(made)
    return made


def again(store) -> None:
    derive(store, "default", config=load_quality_config(store))


def command(*arguments: object):
    return CliRunner().invoke(
        command_line(), ["review", *(str(one) for one in arguments)], catch_exceptions=False
    )


def reference(store, speaker: str) -> dict:
    rows = live_rows(store, store.catalog.slots("default")["reference"], [speaker])
    return rows.row(0, named=True)


def used(store, speaker: str) -> set[tuple[str, int]]:
    row = reference(store, speaker)
    return set(zip(row["used_utterance"], map(int, row["used_face"]), strict=True))


def decide(path: Path, decisions: dict[tuple[str, int | None], str]) -> None:
    table = pl.read_csv(path)
    said = [decisions.get((name, face)) for name, face in table.select("utterance_id", "face").iter_rows()]
    table.with_columns(decision=pl.Series(said, dtype=pl.String)).write_csv(path)


def test_a_rejected_and_a_kept_face_change_the_reference(store, tmp_path: Path) -> None:
    assert used(store, "c/ann") == {("c/a0", 0), ("c/a1", 0), ("c/a2", 0)}
    result = command("--out", tmp_path / "sheets")
    assert result.exit_code == 0
    assert "2 sheets with 6 faces; 0 utterances to look at" in result.output
    path = tmp_path / "sheets" / "review.csv"
    assert {one.name for one in path.parent.iterdir()} == {"review.csv", "c__ann.png", "c__eve.png"}

    # The reviewer knows better: Ann is the other one, and a2 shows somebody else altogether.
    decide(path, {("c/a0", 1): "keep", ("c/a2", 0): "reject"})
    result = command("--apply", path)
    assert "2 decisions in" in result.output
    assert "2 of them new" in result.output
    assert "1 references are out of date: run affectstore derive" in result.output
    again(store)
    assert used(store, "c/ann") == {("c/a0", 1), ("c/a1", 1)}
    result = command("--apply", path)
    assert "0 of them new" in result.output
    assert "every reference is up to date" in result.output


def test_what_was_decided_is_in_the_next_review(store, tmp_path: Path) -> None:
    command("--out", tmp_path / "one")
    decide(tmp_path / "one" / "review.csv", {("c/a0", 1): "reject"})
    command("--apply", tmp_path / "one" / "review.csv")
    assert command("--out", tmp_path / "two", "--speaker", "c/ann").exit_code == 0
    assert {one.name for one in (tmp_path / "two").iterdir()} == {"review.csv", "c__ann.png"}
    told = pl.read_csv(tmp_path / "two" / "review.csv").filter(pl.col("decision").is_not_null())
    assert told.select("utterance_id", "face", "decision").rows() == [("c/a0", 1, "reject")]


def test_what_cannot_be_asked(store, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="either --out FOLDER"):
        command()
    with pytest.raises(BadInputError, match="either --out FOLDER"):
        command("--out", tmp_path, "--apply", tmp_path / "review.csv")
    with pytest.raises(BadInputError, match="belong to --out"):
        command("--apply", tmp_path / "review.csv", "--speaker", "c/ann")
    with pytest.raises(UnknownNameError, match=r"speaker 'c/bob'.*c/ann, c/eve"):
        command("--out", tmp_path, "--speaker", "c/bob")
    with pytest.raises(BadInputError, match=r"gone\.csv"):
        command("--apply", tmp_path / "gone.csv")
    command("--out", tmp_path / "sheets")
    decide(tmp_path / "sheets" / "review.csv", {("c/a0", 1): "perhaps"})
    with pytest.raises(UnknownNameError, match=r"line \d+ 'perhaps'"):
        command("--apply", tmp_path / "sheets" / "review.csv")
    assert store.reviews.read().is_empty()


def test_a_profile_that_is_not_there_stores_no_decision(store, tmp_path: Path) -> None:
    command("--out", tmp_path / "sheets")
    path = tmp_path / "sheets" / "review.csv"
    decide(path, {("c/a2", 0): "reject"})
    with pytest.raises(UnknownNameError, match="'papre'"):
        command("--apply", path, "--profile", "papre")
    assert store.reviews.read().is_empty()
