"""Which runs belong together, what a name on the command line means, and what differs between settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.groups import find_runs, group_name, group_runs, settings_that_differ
from trainers.runs.run import Run, finished_runs


@pytest.fixture
def files(tmp_path: Path) -> FileLayer:
    return FileLayer(str(tmp_path))


def run(files: FileLayer, key: str, hits: int = 1, **record: Any) -> Run:
    """A run that tests four utterances of its fold and gets so many of them right."""
    ids = [f"f{record.get('fold', 0)}u{row}" for row in range(4)]
    said = ["joy"] * hits + ["anger"] * (4 - hits)
    return planted_run(files, key, ids=ids, true=["joy"] * 4, predicted=said, **record)


def test_seeds_and_folds_of_a_setting_are_one_group(files: FileLayer) -> None:
    run(files, "a10", 2, seed=1, fold=0, folds=2, group="aaa")
    run(files, "b00", 4, seed=0, group="bbb")
    run(files, "a01", 3, seed=0, fold=1, folds=2, group="aaa")
    run(files, "a00", 1, seed=0, fold=0, folds=2, group="aaa")
    one, other = group_runs(finished_runs(files))
    assert (one.name, other.name) == ("bbb", "aaa")  # the newest last
    assert [each.key for each in other.runs] == ["a00", "a01", "a10"]
    assert other.folds == (0, 1)
    # Seed 1 has not been tested on fold 1's rows yet: its score is no score of the same rows.
    assert [each.key for each in other.whole] == ["a00", "a01"]
    assert other.score("accuracy") == [4 / 8]
    assert other.predictions().seeds == (0,)
    assert len(other.predictions().ids) == 8


def test_no_seed_has_all_folds(files: FileLayer) -> None:
    run(files, "a", seed=0, fold=0, folds=2)
    run(files, "b", seed=1, fold=1, folds=2)
    (group,) = group_runs(finished_runs(files))
    assert group.score("accuracy") == []
    with pytest.raises(BadInputError, match="no seed has all of the folds 1, 2"):
        group.predictions()


def test_of_a_seed_that_was_run_twice_the_newest_counts(files: FileLayer) -> None:
    run(files, "old", 1)
    run(files, "new", 3)
    (group,) = group_runs(finished_runs(files))
    assert [each.key for each in group.runs] == ["new"]
    assert group.score("accuracy") == [0.75]


def _early(files: FileLayer, key: str, **record: Any) -> Run:
    """A run as records were before they named their group and settings."""
    run(files, key, **record)
    path = f"runs/{key}/run.json"
    told = json.loads(files.read(path))
    del told["group"], told["settings"]
    files.write(path, json.dumps(told).encode())
    return next(each for each in finished_runs(files) if each.key == key)


def test_early_records_are_grouped_by_what_their_files_say(files: FileLayer) -> None:
    same = [_early(files, "a", seed=0), _early(files, "b", seed=1)]
    other = [
        _early(files, "c", lr=0.5),
        _early(files, "d", labels="iemocap4"),
        _early(files, "e", trainer="kan"),
    ]
    assert len({group_name(each) for each in same}) == 1
    assert len({group_name(each) for each in (*same, *other)}) == 4
    assert group_runs(same)[0].settings()["lr"] == 1e-3


def test_names_mean_a_run_a_group_or_several_runs_of_one(files: FileLayer) -> None:
    for key, group, seed in (("1a2b", "9f00", 0), ("1a3c", "9f00", 1), ("2d4e", "8e00", 0)):
        run(files, key, group=group, seed=seed)
    keys = {
        name: [each.key for each in find_runs(files, name).runs]
        for name in ("1a2b", "1a3", "9f", "8e00", "2", "1a2b, 1a3c", "9f,1a3c")
    }
    assert keys == {
        "1a2b": ["1a2b"],
        "1a3": ["1a3c"],
        "9f": ["1a2b", "1a3c"],
        "8e00": ["2d4e"],
        "2": ["2d4e"],
        "1a2b, 1a3c": ["1a2b", "1a3c"],
        "9f,1a3c": ["1a2b", "1a3c"],
    }
    with pytest.raises(UnknownNameError, match="'1a'; allowed: 1a2b, 1a3c$"):
        find_runs(files, "1a")
    for name in ("ffff", "", ","):
        with pytest.raises(UnknownNameError, match="allowed: 1a2b, 1a3c, 2d4e, 8e00, 9f00"):
            find_runs(files, name)
    with pytest.raises(BadInputError, match="of 2 settings .8e00, 9f00."):
        find_runs(files, "1a2b,2d4e")


def test_settings_that_differ_are_told_once(files: FileLayer) -> None:
    run(files, "a", group="aa", snapshot="x", views={"text": "text_small"}, verdict={"name": "strict"})
    run(files, "b", group="bb", snapshot="y", views={"text": "text_large"}, lr=0.5, trainer="kan")
    run(files, "c", group="cc", snapshot="z", views={"text": "text_large"}, lr=0.5, trainer="kan")
    one, other, third = group_runs(finished_runs(files))
    assert settings_that_differ([one, other]) == {
        "trainer": ["mlp", "kan"],
        "views": ["text=text_small", "text=text_large"],
        "verdict": ["strict", "–"],
        "lr": ["0.001", "0.5"],
    }
    assert settings_that_differ([other, third]) == {"snapshot": ["y", "z"]}  # nothing else tells them apart
    assert settings_that_differ([one, one]) == {}
