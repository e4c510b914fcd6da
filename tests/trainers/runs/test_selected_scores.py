"""Scores on selections, by hand."""

import pytest

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.selected_scores import scores_on, selected_table
from trainers.runs.tables import mean_and_deviation

N, J, A = "neutral", "joy", "anger"


@pytest.fixture
def files(tmp_path):
    return FileLayer(str(tmp_path))


def test_scores_on_some_rows_by_seed_with_folds_together(files: FileLayer) -> None:
    runs = [
        planted_run(files, "a0", ids=["u1", "u2"], true=[N, J], predicted=[N, A], seed=0, fold=0, folds=2),
        planted_run(files, "a1", ids=["u3", "u4"], true=[A, N], predicted=[A, N], seed=0, fold=1, folds=2),
        planted_run(files, "b0", ids=["u1", "u2"], true=[N, J], predicted=[J, J], seed=1, fold=0, folds=2),
        planted_run(files, "b1", ids=["u3", "u4"], true=[A, N], predicted=[N, N], seed=1, fold=1, folds=2),
    ]
    found = scores_on(runs, {"u1", "u2", "u3", "elsewhere"})
    assert list(found) == [0, 1]
    assert (found[0].accuracy, found[1].accuracy) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    # Recalls of neutral, joy and anger: 1, 0, 1 and 0, 1, 0.
    assert (found[0].uar, found[1].uar) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert int(found[0].support.sum()) == 3


def test_no_row_of_the_selection_is_told(files: FileLayer) -> None:
    run = planted_run(files, "a0", ids=["u1"], true=[N], predicted=[N])
    with pytest.raises(BadInputError, match="none of these 2 utterances is a test row of a0"):
        scores_on([run], ["v1", "v2"])


def test_the_table_has_mean_and_deviation_and_what_is_missing(
    files: FileLayer, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        planted_run(files, "a", ids=["u1", "u2"], true=[N, J], predicted=[N, J], seed=0),
        planted_run(files, "b", ids=["u1", "u2"], true=[N, J], predicted=[N, N], seed=1),
    ]
    selected_table({"mine": scores_on(runs, ["u1", "u2"]), "other": "nothing there"})
    told = capsys.readouterr().out
    assert "other: nothing there" in told
    # Accuracies 1 and 0.5: mean 0.75, deviation 0.5 / sqrt(2).
    assert "0.7500 ± 0.3536" in told


def test_one_value_has_no_deviation() -> None:
    assert mean_and_deviation([0.25]) == "0.2500"
