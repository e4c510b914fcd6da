"""`affectstore split` and `affectstore leakage` as a user types them."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selections import NamedSelection
from feature_repo.split_making import make_split
from feature_repo.splits import SavedSplit
from feature_repo.store import Store
from tests.feature_repo.planted import new_store
from tests.feature_repo.planted_corpora import acted, manifest, talked


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    made = new_store(tmp_path)
    monkeypatch.setenv("AFFECTSTORE_ROOT", made.root)
    made.write_manifest("ravdess", acted("ravdess", 10))
    made.write_manifest("tess", acted("tess", 2))
    made.write_manifest("meld", talked("meld", 10))
    return made


def run(*arguments: str):
    done = CliRunner().invoke(command_line(), list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def lines(output: str, *words: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if all(word in line for word in words)]


def test_a_split_is_made_checked_and_kept_with_testa_and_testb(store):
    shown = run("split", "s", "--rule", "tess=train", "--seed", "2").stdout
    saved = store.splits.load("s")
    expected = make_split("s", store.manifest(), rules={"tess": "train"}, seed=2)
    assert saved.digest == expected.digest
    assert saved.made["rules"] == {"meld": "official", "ravdess": "speaker", "tess": "train"}
    assert lines(shown, "shares 0.7 / 0.15 / 0.15 (assumed: papers/003 states none), seed 2")
    # Ten people of seven utterances; numbers 0, 3 and 6 are neutral.
    (ravdess,) = lines(shown, "ravdess", "speaker", "train")
    assert ravdess == ["ravdess", "speaker", "train", "7", "49", "21", "14", "14"]
    assert "no leak" in shown
    acted_test = [name for name in saved.ids("test") if name.startswith("ravdess/")]
    assert store.selections.load("s-testa").ids == acted_test
    assert store.selections.load("s-testb").ids == saved.ids("test", ["meld"])
    assert store.selections.load("s-testb").made == {
        "split": "s",
        "split_digest": saved.digest,
        "part": "test",
        "domain": "conversational",
    }
    assert "train --protocol split:s --report s-testa --report s-testb" in shown
    listed = run("split").stdout
    assert lines(listed, "tess train")[0][0] == "s"


def test_a_domain_that_the_user_knows_better_counts(store):
    store.write_manifest("calls", talked("calls", 10))
    run("split", "s", "-c", "calls", "-c", "ravdess", "--domain", "calls=conversational")
    assert store.selections.load("s-testb").ids == store.splits.load("s").ids("test", ["calls"])
    run("split", "t", "-c", "calls")
    assert [name for name in store.selections.names() if name.startswith("t-")] == []


def test_nothing_is_replaced_unasked(store):
    run("split", "s", "-c", "ravdess")
    before = store.splits.load("s")
    with pytest.raises(BadInputError, match="split 's' is there already.*--replace"):
        run("split", "s", "-c", "meld")
    assert store.splits.load("s").digest == before.digest
    run("split", "s", "-c", "meld", "--replace")
    assert store.splits.load("s").corpora == ["meld"]
    # TestA was of the split that is gone.
    assert store.selections.names() == ["s-testb"]
    store.selections.save(NamedSelection("t-testa", ["ravdess/00000"]))
    with pytest.raises(BadInputError, match="selection 't-testa' is there already"):
        run("split", "t", "-c", "ravdess")
    with pytest.raises(BadInputError, match="selection 't-testa' is there already.*select t-testa --remove"):
        run("split", "t", "-c", "ravdess", "--replace")
    assert store.selections.load("t-testa").ids == ["ravdess/00000"]
    assert store.splits.names() == ["s"]
    run("split", "s", "--remove")
    assert (store.splits.names(), store.selections.names()) == ([], ["t-testa"])


def test_a_corpus_of_two_people_is_refused_with_what_is_allowed(store):
    with pytest.raises(BadInputError, match=r"'tess': rule 'speaker' finds 2 person.*--rule tess=train"):
        run("split", "s")
    assert store.splits.names() == []


def test_shares_and_pairs_that_are_none(store):
    with pytest.raises(BadInputError, match="--shares '0.5,0.5': expected three numbers"):
        run("split", "s", "--shares", "0.5,0.5")
    with pytest.raises(BadInputError, match="--shares 'a,b,c'"):
        run("split", "s", "--shares", "a,b,c")
    with pytest.raises(BadInputError, match="--rule 'tess': expected NAME=VALUE"):
        run("split", "s", "--rule", "tess")
    with pytest.raises(BadInputError, match="--rule tess is given twice"):
        run("split", "s", "--rule", "tess=train", "--rule", "tess=test")
    run("split", "s", "-c", "ravdess", "--shares", "0.5,0.25,0.25")
    assert store.splits.load("s").made["assumed"] == []


def leaky(store: Store) -> None:
    """An official split whose test part holds a training dialogue's last turn."""
    rows = talked("meld", 10)
    turn = pl.when(pl.col("utterance_id") == "meld/train/dia0_utt5").then(pl.lit("test")).otherwise("split")
    store.write_manifest("meld", rows.with_columns(split=turn))


def test_a_split_that_leaks_is_not_kept_unless_one_says_so(store):
    leaky(store)
    done = run("split", "s", "-c", "meld")
    assert done.exit_code == 1
    (told,) = lines(done.stdout, "dialogue", "dia0")
    assert told == [
        "dialogue",
        "meld/train/dia0",
        "meld",
        "train",
        "5,",
        "test",
        "1",
        "meld/train/dia0_utt0,",
        "meld/train/dia0_utt5",
    ]
    assert "not saved" in done.stderr
    assert store.splits.names() == []
    assert run("split", "s", "-c", "meld", "--with-leaks").exit_code == 0
    assert run("leakage", "s").exit_code == 1


def test_leakage_looks_at_what_the_manifest_says_now(store):
    run("split", "s", "-c", "ravdess")
    assert run("leakage", "s").exit_code == 0
    saved = store.splits.load("s")
    train, test = (saved.ids(part)[0] for part in ("train", "test"))
    rows = acted("ravdess", 10)
    speaker = rows.filter(pl.col("utterance_id") == train)["speaker_id"][0]
    same = pl.when(pl.col("utterance_id") == test).then(pl.lit(speaker)).otherwise("speaker_id")
    more = manifest("ravdess", [{"utterance_id": "ravdess/new"}])
    store.write_manifest("ravdess", pl.concat([rows.with_columns(speaker_id=same), more]))
    done = run("leakage", "s")
    assert done.exit_code == 1
    assert lines(done.stdout, "speaker", speaker, test)
    assert "1 of its corpora came later" in done.stderr
    told = json.loads(run("leakage", "s", "--json").stdout)
    assert [(leak["kind"], leak["of"]) for leak in told["leaks"]] == [("speaker", speaker)]
    assert (told["digest"], told["new"], told["unknown"]) == (saved.digest, 1, 0)
    with pytest.raises(UnknownNameError, match="unknown split 't'; allowed: s"):
        run("leakage", "t")


def test_many_leaks_are_cut_short_and_counted(store):
    run("split", "s", "-c", "ravdess")
    saved = store.splits.load("s")
    turned = saved.rows.with_columns(part=pl.Series(["train", "test"] * (saved.rows.height // 2)))
    store.splits.save(SavedSplit("s", turned, saved.made))
    shown = run("leakage", "s", "--limit", "3").stdout
    assert "10 leaks" in shown
    assert len(lines(shown, "speaker", "ravdess/s0")) == 3
    assert "and 7 more: --limit 10" in shown


def test_a_part_that_falls_far_short_is_told(store):
    # One conversation of many, and four who talk to nobody.
    rows = [{"speaker_id": f"calls/{place}", "dialogue_id": "calls/d"} for place in range(60)]
    rows += [{"speaker_id": f"calls/x{place}"} for place in range(4)]
    store.write_manifest("calls", manifest("calls", rows))
    done = run("split", "s", "-c", "calls")
    assert "calls: test has" in done.stderr
    assert "not 15 %" in done.stderr


def test_no_splits_says_how_to_make_one(store):
    assert "split NAME" in run("split").stdout
