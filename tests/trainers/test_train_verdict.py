"""Training on the utterances that passed a named verdict."""

import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import UnknownNameError
from feature_repo.named_verdicts import NamedVerdict
from trainers.config import AdapterConfig, resolve
from trainers.train import train

CONFIG = resolve(AdapterConfig, ["max_epochs=2"])


def save(store, name, keep, threshold=0.3):
    ids = store.manifest()["utterance_id"]
    passed = [keep(place) for place in range(len(ids))]
    store.verdicts.save(
        NamedVerdict(
            name,
            pl.DataFrame(
                {
                    "utterance_id": ids,
                    "passed": passed,
                    "reason": [None if ok else "no_match" for ok in passed],
                }
            ),
            thresholds={"face.facenet512.similarity": {"value": threshold, "source": "paper"}},
            checks={"toy": ["face"]},
        )
    )


def run(planted, **options):
    (one,) = train(planted.store, ["text"], config=CONFIG, protocol="official", **options).runs
    return one


def test_it_fits_selects_and_scores_on_the_verified_rows_alone(planted):
    save(planted.store, "half", lambda place: place % 2 == 0)
    one = run(planted, verdict="half")
    seen = one.parts()["utterance_id"].to_list()
    assert sorted(seen) == [f"toy/u{row:03}" for row in range(0, 240, 2)]
    assert one.record["rows"] == {"train": 60, "validation": 20, "test": 40}
    assert one.predictions()["utterance_id"].to_list() == [f"toy/u{row:03}" for row in range(160, 240, 2)]


def test_the_run_tells_the_verdict_and_its_key_depends_on_it(planted):
    before = run(planted)
    save(planted.store, "all", lambda place: True)
    passed = run(planted, verdict="all")
    assert "verdict" not in before.record
    told = passed.record["verdict"]
    assert told["name"] == "all"
    assert told["thresholds"] == {"face.facenet512.similarity": 0.3}
    assert told["checks"] == {"toy": ["face"]}
    assert told["ids"] == planted.store.verdicts.load("all").ids_digest
    assert passed.config()["data"]["verdict"] == told
    assert passed.record["snapshot"] == before.record["snapshot"], "the rows are the same"
    assert passed.key != before.key
    save(planted.store, "all", lambda place: True, threshold=0.4)
    assert run(planted, verdict="all").key not in (before.key, passed.key)
    save(planted.store, "all", lambda place: True)
    again = train(planted.store, ["text"], config=CONFIG, protocol="official", verdict="all")
    assert (again.trained, again.runs[0].key) == (0, passed.key)


def test_a_verdict_that_does_not_exist(planted):
    save(planted.store, "half", lambda place: place % 2 == 0)
    with pytest.raises(UnknownNameError, match="unknown verdict 'hlaf'; allowed: half"):
        run(planted, verdict="hlaf")


def test_the_command_trains_on_it_and_says_what_was_removed(planted):
    save(planted.store, "half", lambda place: place % 2 == 0)
    arguments = ["train", "--slots", "text", "--seeds", "0", "--set", "max_epochs=1", "--verdict", "half"]
    done = CliRunner().invoke(command_line(), [*arguments, "--root", planted.store.root])
    assert done.exit_code == 0, done.output
    assert "verdict half: 120 of 240 asked utterances passed; removed: no match 120" in done.output
