"""`affectstore manifest` as a user types it."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import UnknownNameError
from feature_repo.store import Store
from tests.feature_repo.planted import new_store
from tests.feature_repo.planted_corpora import acted, manifest, talked


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    made = new_store(tmp_path)
    monkeypatch.setenv("AFFECTSTORE_ROOT", made.root)
    return made


def run(*arguments: str):
    done = CliRunner().invoke(command_line(), ["manifest", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def lines(output: str, *words: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if all(word in line for word in words)]


def fill(store: Store) -> None:
    store.write_manifest("ravdess", acted("ravdess", 2, each=4))
    store.write_manifest("meld", talked("meld", 5, turns=2))
    store.write_manifest("calls", manifest("calls", [{"text": "a"}]))


def test_an_empty_store_says_what_to_do(store):
    assert "ingest" in run().stdout


def test_corpora_and_emotions_beside_the_paper(store):
    fill(store)
    shown = run().stdout
    (ravdess,) = lines(shown, "ravdess", "acted")
    assert ravdess == ["ravdess", "acted", "8", "8", "·", "·", "·", "8", "2", "·", "·", "en", "1,440"]
    assert lines(shown, "all", "conversational")[0][2:4] == ["10", "10"]
    assert lines(shown, "papers/003 section 1.4")
    (emotions,) = [line for line in lines(shown, "ravdess") if "acted" not in line]
    assert emotions == ["ravdess", "8", "4", "2", "2", "·"]
    (header,) = lines(shown, "corpus", "neutral")
    assert header == ["corpus", "utterances", "neutral", "joy", "anger", "left", "out"]


def test_no_column_of_the_paper_where_it_has_none_of_the_corpora(store):
    fill(store)
    shown = run("-c", "calls", "--domain", "calls=conversational").stdout
    assert "papers/003" not in shown
    assert lines(shown, "calls", "conversational")
    with pytest.raises(UnknownNameError, match="domain of calls 'talk'"):
        run("--domain", "calls=talk")


def test_languages_and_speakers(store):
    fill(store)
    assert ["calls", "not", "said", "1", "·"] in lines(run("--by", "language").stdout, "calls")
    shown = run("--by", "speaker", "--top", "1").stdout
    assert lines(shown, "ravdess/") == [["ravdess", "ravdess/s000", "4", "4", "50.0", "%"]]
    assert lines(shown, "ravdess", "others") == [["ravdess", "1", "others", "4", "4", "50.0", "%"]]
    assert lines(shown, "calls") == [["calls", "nobody", "knows", "1", "·", "100.0", "%"]]


def test_json_holds_everything(store):
    fill(store)
    told = json.loads(run("--json", "--top", "1").stdout)
    assert {row["corpus"]: row["utterances"] for row in told["corpora"]} == {
        "ravdess": 8,
        "meld": 10,
        "calls": 1,
    }
    assert told["domains"][-1]["domain"] is None
    assert told["domains"][-1]["utterances"] == 19
    speakers = pl.DataFrame(told["speakers"])
    assert speakers["corpus"].to_list() == ["meld", "ravdess"]
    assert set(told) == {"corpora", "domains", "emotions", "languages", "speakers"}


def test_the_figure_of_emotions_is_written_and_told(store: Store, tmp_path) -> None:
    fill(store)
    told = run("--figures", str(tmp_path / "figures")).output
    assert (tmp_path / "figures" / "class_distribution.png").stat().st_size > 5_000
    assert "class_distribution.png" in told
