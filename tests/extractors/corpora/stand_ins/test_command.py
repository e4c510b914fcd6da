"""``stand-in`` and the ``ingest`` after it, as a user types them."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from extractors.corpora.commands import add_commands
from feature_repo.errors import BadInputError
from feature_repo.store import init_store, open_store


def run(*arguments: object) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_stand_in_is_made_told_and_ingested_under_a_name_that_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "store"))
    init_store(str(tmp_path / "store"))
    folder = tmp_path / "tess"
    told = run("stand-in", "tess", folder, "--per-emotion", 1)  # both of two speakers
    assert "14 made-up clips" in told
    assert f"affectstore ingest tess {folder}  (is named tess-standin)" in told
    assert "was there already" in run("stand-in", "tess", folder, "--speakers", 2, "--per-emotion", 1)
    assert "Corpus tess-standin" in run("ingest", "tess", folder)
    with pytest.raises(BadInputError, match="is made up"):
        run("ingest", "tess", folder, "--name", "tess")
    store = open_store(str(tmp_path / "store"))
    assert store.corpora() == ["tess-standin"]
    assert store.manifest()["utterance_id"].str.starts_with("tess-standin/").all()
