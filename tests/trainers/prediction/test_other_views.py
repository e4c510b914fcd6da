"""A finished run on another view of its slot: each test row is predicted as the row whose vector it was given."""

import json
from collections.abc import Generator, Mapping, Sequence

import pytest
import typer
from sklearn.metrics import accuracy_score
from typer.testing import CliRunner

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from tests.trainers.conftest import Planted
from trainers.commands import add_commands
from trainers.config import AdapterConfig
from trainers.prediction.other_views import compare_views, predictions_over
from trainers.runs.run import Run
from trainers.train import train

LOST = ("toy/u200", "toy/u239")  # have nothing in the other view


def neighbour(utterance_id: str) -> str:
    """The next of the 80 test rows, who has another emotion."""
    return f"toy/u{160 + (int(utterance_id[-3:]) - 160 + 1) % 80:03}"


@pytest.fixture
def shifted(planted: Planted) -> str:
    """A view in which each test row has its neighbour's vector."""
    recipe = Recipe("text", "shifted", 1, "text", "pooled", 8)

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, ids in missing.items():
            for name in ids:
                vector = planted.vectors[neighbour(name) if name >= "toy/u160" else name][:8]
                yield view, name, Features(None, "lost") if name in LOST else Features(vector)

    fill(planted.store, [recipe], compute)
    return recipe.view


@pytest.fixture
def runs(planted: Planted) -> tuple[Run, ...]:
    return train(
        planted.store, ["text"], config=AdapterConfig(max_epochs=3), protocol="official", seeds=(0, 1)
    ).runs


def test_each_row_is_predicted_as_the_one_whose_vector_it_has(
    planted: Planted, shifted: str, runs: tuple[Run, ...]
) -> None:
    found = predictions_over(planted.store, runs, {"text": shifted})
    assert found.ids == tuple(f"toy/u{row}" for row in range(160, 240) if f"toy/u{row}" not in LOST)
    for seed, run in enumerate(runs):
        own = dict(run.predictions().select("utterance_id", "predicted").iter_rows())
        told = [found.classes[index] for index in found.predicted[seed]]
        assert told == [own[neighbour(name)] for name in found.ids]
    true = dict(runs[0].predictions().select("utterance_id", "true").iter_rows())
    assert [found.classes[index] for index in found.true] == [true[name] for name in found.ids]


def test_the_difference_is_on_the_rows_that_both_have(
    planted: Planted, shifted: str, runs: tuple[Run, ...]
) -> None:
    compared, lacking = compare_views(planted.store, runs, {"text": shifted})
    assert (compared.rows, lacking) == (78, 2)
    for seed, run in enumerate(runs):
        own = run.predictions()
        predicted = dict(own.select("utterance_id", "predicted").iter_rows())
        kept = [
            (name, true) for name, true in own.select("utterance_id", "true").iter_rows() if name not in LOST
        ]
        before = accuracy_score([true for _, true in kept], [predicted[name] for name, _ in kept])
        after = accuracy_score([true for _, true in kept], [predicted[neighbour(name)] for name, _ in kept])
        told = compared.scores["accuracy"]
        assert (told.first[seed], told.second[seed]) == pytest.approx((before, after))


def test_the_command_tells_both(planted: Planted, shifted: str, runs: tuple[Run, ...]) -> None:
    app = typer.Typer()
    add_commands(app)

    def invoke(*words: str) -> str:
        result = CliRunner().invoke(
            app, ["runs", *words, "--root", planted.store.root], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return result.stdout

    group = runs[0].record["group"]
    told = json.loads(invoke(group, "--with", f"text={shifted}", "--json"))
    assert (told[group]["rows"], told[group]["lacking"]) == (78, 2)
    shown = invoke(group, "--with", f"text={shifted}")
    assert "as trained" in shown
    assert "2 test rows have nothing there" in shown


def test_what_does_not_fit_is_refused(planted: Planted, runs: tuple[Run, ...]) -> None:
    store = planted.store
    with pytest.raises(BadInputError, match="4 wide; allowed for slot 'text'"):
        compare_views(store, runs, {"text": planted.speech.view})
    with pytest.raises(UnknownNameError, match="unknown view 'text_other_00000000'"):
        compare_views(store, runs, {"text": "text_other_00000000"})
    with pytest.raises(UnknownNameError, match="'speech'"):
        compare_views(store, runs, {"speech": planted.speech.view})
