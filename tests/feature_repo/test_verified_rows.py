"""What a named verdict lets through, asked again and again while what it rests on changes."""

import warnings

import numpy as np
import polars as pl
import pytest

from feature_repo.asked_rows import current_manifest
from feature_repo.errors import UnknownNameError
from feature_repo.fill import fill
from feature_repo.manifest_store import MANIFEST
from feature_repo.named_verdicts import NamedVerdict, StaleVerdictWarning, _evidence
from feature_repo.verified_rows import verified_rows
from tests.feature_repo.planted import TEXT, Extraction, new_store, rows

SAID = {f"c/{number}": f"text {number}" for number in range(6)}


def judged(passed, **told):
    names = list(passed)
    reasons = [None if passed[name] else "no_face" if name < "c/3" else "silent" for name in names]
    table = pl.DataFrame({"utterance_id": names, "passed": list(passed.values()), "reason": reasons})
    return NamedVerdict("v", table, **told)


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    made.write_manifest("c", rows(SAID))
    fill(made, [TEXT], Extraction(made, [TEXT]))
    return made


def asked(store, wanted):
    manifest, digest = current_manifest(store)
    found, applied = verified_rows(store, "v", manifest, digest, np.array(wanted, np.int64))
    return [manifest["utterance_id"][int(row)] for row in found], applied


def test_the_asked_rows_that_passed_keep_their_order_and_the_others_are_counted(store):
    told = {"thresholds": {"b": {"value": 0.5}, "a": {"value": 1}}, "checks": {"c": ("face",)}}
    verdict = judged({"c/0": True, "c/1": False, "c/3": False, "c/4": True, "c/2": False}, **told)
    store.verdicts.save(verdict)
    found, applied = asked(store, [4, 3, 5, 1, 0, 2])
    assert found == ["c/4", "c/0"]
    assert applied.identity() == verdict.identity()
    assert list(applied.thresholds) == ["a", "b"]
    assert applied.passed == 2
    assert list(applied.removed.items()) == [("no_face", 2), ("not_judged", 1), ("silent", 1)]
    assert asked(store, [3, 5])[1].removed == {"not_judged": 1, "silent": 1}
    assert asked(store, [])[0] == []


def test_a_verdict_that_is_replaced_or_removed_is_read_again(store):
    store.verdicts.save(judged({name: name == "c/1" for name in SAID}))
    assert asked(store, range(6))[0] == ["c/1"]
    other = judged({name: name == "c/2" for name in SAID})
    store.verdicts.save(other)
    found, applied = asked(store, range(6))
    assert (found, applied.ids) == (["c/2"], other.ids_digest)
    store.verdicts.remove("v")
    with pytest.raises(UnknownNameError, match="unknown verdict 'v'"):
        asked(store, range(6))


def test_rows_that_come_and_go_are_judged_anew(store):
    store.verdicts.save(judged(dict.fromkeys(SAID, True) | {"c/2": False}))
    assert asked(store, range(6))[0] == ["c/0", "c/1", "c/3", "c/4", "c/5"]
    store.write_manifest(
        "c", rows({"c/0": "a", "c/1x": "new", **{name: SAID[name] for name in ("c/2", "c/5")}})
    )
    with pytest.warns(StaleVerdictWarning, match="3 of its utterances are no longer in the manifest"):
        found, applied = asked(store, range(4))
    assert found == ["c/0", "c/5"]
    assert applied.removed == {"no_face": 1, "not_judged": 1}


@pytest.mark.filterwarnings("error")
def test_a_view_that_was_computed_again_makes_it_outdated_every_time_it_is_asked(store):
    evidence = _evidence(store, ["c"], {"text": TEXT.view})
    store.verdicts.save(
        judged(dict.fromkeys(SAID, True), views={"text": TEXT.view}, checks={"c": ()}, evidence=evidence)
    )
    asked(store, range(6))
    asked(store, range(6))
    manifest = store.files.read(f"{MANIFEST}/c.parquet")
    store.write_manifest("c", rows({**SAID, "c/3": "otherwise"}))
    fill(store, [TEXT], Extraction(store, [TEXT]))
    store.files.write(f"{MANIFEST}/c.parquet", manifest)  # the rows are as they were, the table is not
    for _ in range(2):
        with pytest.raises(StaleVerdictWarning, match="changed since: text;"):
            asked(store, range(6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleVerdictWarning)
        assert len(asked(store, range(6))[0]) == 6
