"""Named verdicts: kept with what decided them, pulled by name, and told when the store has moved on."""

import warnings

import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.erasure import forget
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.measures import read_measures
from feature_repo.named_verdicts import NamedVerdict, StaleVerdictWarning, name_verdict, outdated
from feature_repo.outcome import Features
from feature_repo.quality_config import load_quality_config
from feature_repo.recipe import digest
from feature_repo.verdict import judge
from tests.feature_repo.planted import TEXT, Extraction
from tests.feature_repo.planted_measures import LEVEL, REFERENCE, PlantedStore, good

CONFIG = load_quality_config(None, None, ["face.MobileFaceNet.similarity=0.3"])
PLANTED = {
    "c/1": good(),
    "c/2": good(match={"similarity": 0.1}),
    "c/3": good(alignment={"cosine": 0.1}),
    "c/4": good() | {"split": "test"},
    "d/1": good(),
}


@pytest.fixture
def planted(tmp_path) -> PlantedStore:
    made = PlantedStore(tmp_path, PLANTED)
    fill(made.store, [TEXT], Extraction(made.store, [TEXT]))
    made.store.catalog.set("default", {"text": TEXT.view})
    return made


def named(planted, name="v", config=CONFIG, corpora=None) -> NamedVerdict:
    measures = read_measures(planted.store, None, corpora)
    return name_verdict(planted.store, name, measures, judge(measures, config), config)


def pulled(planted, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error", StaleVerdictWarning)
        return planted.store.pull(["text"], verdict="v", **options)


def test_what_is_saved_comes_back_with_everything_that_decided_it(planted):
    verdict = named(planted)
    planted.store.verdicts.save(verdict)
    found = planted.store.verdicts.load("v")
    assert found.rows.equals(verdict.rows)
    assert {**vars(found), "rows": 0} == {**vars(verdict), "rows": 0}
    assert found.ids == ["c/1", "c/4", "d/1"]
    assert found.ids_digest == digest(["c/1", "c/4", "d/1"])
    assert dict(found.rows.select("utterance_id", "reason").iter_rows()) == {
        "c/1": None,
        "c/2": "no_match",
        "c/3": "cosine",
        "c/4": None,
        "d/1": None,
    }
    assert found.thresholds["face.MobileFaceNet.similarity"] == {"value": 0.3, "source": "--set"}
    assert found.thresholds["text.all-mpnet-base-v2.cosine"]["value"] == 0.25
    assert found.checks["c"] == list(CONFIG.checks("c"))
    assert found.views["reference"] == REFERENCE.view
    assert planted.store.verdicts.names() == ["v"]
    assert outdated(planted.store, found) == []


def test_saving_again_replaces_and_removing_removes(planted):
    verdicts = planted.store.verdicts
    verdicts.save(named(planted))
    strict = load_quality_config(None, None, ["face.MobileFaceNet.similarity=0.9"])
    verdicts.save(named(planted, config=strict))
    assert verdicts.load("v").ids == []
    verdicts.remove("v")
    assert verdicts.names() == []
    for action in (verdicts.load, verdicts.remove):
        with pytest.raises(UnknownNameError, match="unknown verdict 'v'; allowed: none exist yet"):
            action("v")


@pytest.mark.parametrize("name", ["", "../v", "a/b", ".v", "v w"])
def test_a_name_that_no_file_can_have(planted, name):
    with pytest.raises(BadInputError, match="verdict name"):
        planted.store.verdicts.save(named(planted, name))
    with pytest.raises(UnknownNameError, match="unknown verdict"):
        planted.store.verdicts.load(name)


def test_a_damaged_file_is_told(planted):
    planted.store.files.write("quality/verdicts/v.parquet", b"PAR1 and nothing else")
    with pytest.raises(BadInputError, match=r"quality/verdicts/v.parquet is damaged"):
        planted.store.verdicts.load("v")


def test_pull_gives_the_utterances_that_passed(planted):
    planted.store.verdicts.save(named(planted))
    everything = planted.store.pull(["text"])
    assert everything.verdict is None
    found = pulled(planted)
    assert found.ids == ["c/1", "c/4", "d/1"]
    rows = [everything.ids.index(name) for name in found.ids]
    assert (found.features["text"] == everything.features["text"][rows]).all()
    told = found.verdict
    assert (told.name, told.passed, told.removed) == ("v", 3, {"no_match": 1, "cosine": 1})
    assert told.ids == planted.store.verdicts.load("v").ids_digest
    assert found.coverage["text"].asked == 3
    assert pulled(planted, ids=["d/1", "c/2", "c/1"]).ids == ["d/1", "c/1"], "the asked order is kept"
    assert pulled(planted, ids=["c/2"]).ids == []
    with pytest.raises(UnknownNameError, match="unknown verdict 'w'; allowed: v"):
        planted.store.pull(["text"], verdict="w")


def test_the_command_pulls_by_a_verdict_and_says_what_it_removed(planted):
    planted.store.verdicts.save(named(planted))
    done = CliRunner().invoke(
        command_line(), ["pull", "text", "--verdict", "v", "--split", "train", "--root", planted.store.root]
    )
    assert done.exit_code == 0, done.output
    assert "verdict v: 2 of 4 asked utterances passed; removed: cosine 1, no match 1" in done.stdout
    assert "2 utterances pulled" in done.stdout


def test_what_a_verdict_says_nothing_of_has_not_passed(planted):
    planted.store.verdicts.save(named(planted, corpora=["d"]))
    found = pulled(planted)
    assert found.ids == ["d/1"]
    assert found.verdict.removed == {"not_judged": 4}


def test_a_changed_manifest_makes_it_stale_and_a_changed_label_does_not(planted):
    planted.store.verdicts.save(named(planted))
    planted.planted["c/1"]["emotion"] = "anger"
    planted.write_manifest()
    assert pulled(planted).ids == ["c/1", "c/4", "d/1"]
    planted.planted["c/1"]["speaker_id"] = "c/bob"
    planted.write_manifest()
    with pytest.warns(
        StaleVerdictWarning, match=r"verdict 'v' \(judged, 20.*changed since: manifest.*quality --save v"
    ):
        found = planted.store.pull(["text"], verdict="v")
    assert found.ids == ["c/1", "c/4", "d/1"], "it is used as it is"


def test_another_corpus_does_not_make_it_stale(planted):
    planted.store.verdicts.save(named(planted, corpora=["c"]))
    planted.planted["e/1"] = good()
    planted.planted["d/1"]["text"] = "other words"
    planted.write_manifest()
    planted.fill()
    assert outdated(planted.store, planted.store.verdicts.load("v")) == []


def test_new_decisions_and_new_measures_make_it_stale(planted):
    store = planted.store
    store.verdicts.save(named(planted))
    store.reviews.add(pl.DataFrame({"utterance_id": ["c/4"], "decision": ["offscreen"]}))
    assert outdated(store, store.verdicts.load("v")) == ["changed since: reviews"]
    store.verdicts.save(named(planted))
    assert store.verdicts.load("v").ids == ["c/1", "d/1"]
    planted.planted["c/9"] = good()
    planted.write_manifest()
    planted.fill()
    assert outdated(store, store.verdicts.load("v")) == [
        "changed since: manifest, alignment, faces_steps, level, match, reference, transcript"
    ]


def test_lost_utterances_and_views_are_told(planted):
    from feature_repo.erasure import drop_view

    store = planted.store
    store.verdicts.save(named(planted))
    del planted.planted["c/4"]
    planted.write_manifest()
    drop_view(store, LEVEL.view)
    told = outdated(store, store.verdicts.load("v"))
    assert told[:2] == [
        "1 of its utterances are no longer in the manifest",
        f"the view {LEVEL.view} (level) is gone",
    ]


def test_a_forgotten_utterance_leaves_every_verdict(planted):
    store = planted.store
    store.verdicts.save(named(planted))
    store.verdicts.save(named(planted, "w"))
    forget(store, ["c/1"])
    for name in ("v", "w"):
        found = store.verdicts.load(name)
        assert "c/1" not in found.rows["utterance_id"]
        assert found.ids == ["c/4", "d/1"]
        assert found.thresholds["alignment.levenshtein"]["value"] == 0.3
    data = b"".join(store.files.read(f"quality/verdicts/{name}.parquet") for name in ("v", "w"))
    assert b"c/1" not in data


def test_a_verdict_without_provenance_is_held_against_the_manifest_alone(planted):
    rows = pl.DataFrame({"utterance_id": ["c/1", "c/8"], "passed": [True, True], "reason": [None, None]})
    planted.store.verdicts.save(NamedVerdict("v", rows, origin="imported from list.txt"))
    found = planted.store.verdicts.load("v")
    assert found.origin == "imported from list.txt"
    assert outdated(planted.store, found) == ["1 of its utterances are no longer in the manifest"]


def test_the_outcome_of_a_measure_alone_does_not_count_its_content_does(planted):
    # The same content computed again under the same key is the same number.
    store = planted.store
    store.verdicts.save(named(planted))
    fill(store, [TEXT], lambda missing: iter([(TEXT.view, "c/1", Features(None, "x"))]))
    assert outdated(store, store.verdicts.load("v")) == []
