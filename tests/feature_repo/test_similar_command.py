"""``similar`` as a user types it."""

import json

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from feature_repo.commands import add_commands
from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.selections import NamedSelection
from feature_repo.store import init_store

TEXT = Recipe("text", "angles", 1, "text", "pooled", 2)
STEPS = Recipe("text", "angles", 1, "text", "steps", 2)
# Each text is an angle in degrees: the cosine of two is that of their difference.
ANGLES = {"c/a": 0, "c/b": 60, "c/c": 90, "c/d": 0, "c/e": 180, "c/f": 30}


@pytest.fixture
def app():
    app = typer.Typer()
    add_commands(app)
    return app


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTSTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "150")
    store = init_store(str(tmp_path / "store"))
    rows = {
        "utterance_id": list(ANGLES),
        "text": [f"{angle}" for angle in ANGLES.values()],
        "emotion": ["joy", "anger", "joy", "fear", None, "joy"],
        "split": ["train", "test", "train", "test", "train", "test"],
        "speaker_id": ["c/ann", "c/bob", "c/ann", "c/[bold]", None, "c/bob"],
    }
    store.write_manifest("c", pl.DataFrame(rows))

    def compute(missing):
        for view, ids in missing.items():
            for name in ids:
                angle = np.deg2rad(ANGLES[name])
                value = np.array([np.cos(angle), np.sin(angle)], np.float32)
                yield view, name, Features(value if view == TEXT.view else value[None])

    fill(store, [TEXT, STEPS], compute)
    store.catalog.set("default", {"text": TEXT.view, "text_steps": STEPS.view})
    return store


def run(app, *arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).output


def found(app, *arguments):
    rows = json.loads(run(app, "similar", "text", *arguments, "--json"))
    return [(row["query"], row["utterance_id"], round(row["similarity"], 3)) for row in rows]


def test_a_table_tells_rank_cosine_and_who_says_what(app, store):
    told = run(app, "similar", "text", "--id", "c/a", "-k", "4")
    assert f"Nearest to c/a “0” in {TEXT.view}" in told
    lines = [line.split() for line in told.splitlines()[3:]]
    assert lines == [
        ["1", "1.000", "━" * 10, "c/d", "c/[bold]", "fear", "test", "0"],
        ["2", "0.866", "━" * 9, "c/f", "c/bob", "joy", "test", "30"],
        ["3", "0.500", "━" * 5, "c/b", "c/bob", "anger", "test", "60"],
        ["4", "0.000", "c/c", "c/ann", "joy", "train", "90"],
    ]


@pytest.mark.parametrize("width", [40, 75, 120])
def test_a_neighbour_is_one_line_however_long_its_text(app, store, monkeypatch, width):
    rows = store.manifest().with_columns(text=pl.col("text") + " words" * 40 + "\n[red]more")
    store.write_manifest("c", rows)
    refill = [
        Features(np.array([np.cos(a), np.sin(a)], np.float32)) for a in map(np.deg2rad, ANGLES.values())
    ]
    values = dict(zip(ANGLES, refill, strict=True))
    fill(store, [TEXT], lambda missing: ((v, n, values[n]) for v, names in missing.items() for n in names))
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(app, "similar", "text", "--id", "c/a", "-k", "5").splitlines()
    assert all(len(line) <= width for line in lines)
    ranked = [line for line in lines if line[:2].strip().isdigit()]
    assert [line.split()[0] for line in ranked] == ["1", "2", "3", "4", "5"]
    assert [f"{cosine:.3f}" in line for cosine, line in zip((1, 0.866, 0.5, 0, -1), ranked, strict=True)] == [
        True
    ] * 5
    assert all("words" in line and line.rstrip().endswith("…") for line in ranked)
    assert ("━━" in "".join(ranked)) == (width > 75)
    assert ("anger" in "".join(ranked)) == (width > 40)


def test_filters_and_exclusions_reach_the_search(app, store):
    store.selections.save(NamedSelection("few", ["c/b", "c/e"]))
    assert found(app, "--id", "c/a", "--split", "test", "-k", 2) == [
        ("c/a", "c/d", 1.0),
        ("c/a", "c/f", 0.866),
    ]
    assert found(app, "--id", "c/a", "--emotion", "joy") == [("c/a", "c/f", 0.866), ("c/a", "c/c", 0.0)]
    assert found(app, "--id", "c/a", "--selection", "few") == [("c/a", "c/b", 0.5), ("c/a", "c/e", -1.0)]
    assert found(app, "--id", "c/a", "--exclude", "text", "--at-least", 0.5) == [
        ("c/a", "c/f", 0.866),
        ("c/a", "c/b", 0.5),
    ]
    assert found(app, "--id", "c/f", "--exclude", "speaker", "-k", 1) == [("c/f", "c/a", 0.866)]
    assert found(app, "--id", "c/f", "--include-self", "--speaker", "c/bob") == [
        ("c/f", "c/f", 1.0),
        ("c/f", "c/b", 0.866),
    ]


def test_queries_come_from_files_of_ids_and_of_vectors(app, store, tmp_path):
    (tmp_path / "ids.txt").write_text("c/e\n\n c/b \n")
    np.save(tmp_path / "one.npy", np.array([0.0, 5.0]))
    np.save(tmp_path / "two.npy", np.array([[0, 1], [-1, 0]]))
    assert found(app, "--ids", tmp_path / "ids.txt", "-k", 1) == [("c/e", "c/c", 0.0), ("c/b", "c/c", 0.866)]
    assert found(app, "--vector", tmp_path / "one.npy", "-k", 1) == [(0, "c/c", 1.0)]
    assert found(app, "--vector", tmp_path / "two.npy", "-k", 1) == [(0, "c/c", 1.0), (1, "c/e", 1.0)]
    assert "Nearest to vector 1 in" in run(app, "similar", "text", "--vector", tmp_path / "two.npy")


def test_many_queries_are_written_with_a_bar_and_printed_in_part(app, store, tmp_path):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).standard_normal((130, 2)))
    arguments = ("similar", "text", "--vector", tmp_path / "many.npy", "-k", 2)
    for name, read in (("n.csv", pl.read_csv), ("n.parquet", pl.read_parquet), ("n.arrow", pl.read_ipc)):
        told = run(app, *arguments, "-o", tmp_path / name)
        assert "wrote 260 neighbours (queries: 130)" in " ".join(told.split())
        frame = read(tmp_path / name)
        assert frame["query"].to_list() == [number for number in range(130) for _ in "kk"]
    assert "and 110 more queries: -o FILE writes all of them" in run(app, *arguments)


def test_what_cannot_be_looked_for_is_told(app, store, tmp_path):
    (tmp_path / "no.npy").write_bytes(b"no array")
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInputError, match="nothing was given to look for; allowed: one of --id"):
        run(app, "similar", "text")
    with pytest.raises(BadInputError, match="--id and --vector was given"):
        run(app, "similar", "text", "--id", "c/a", "--vector", tmp_path / "no.npy")
    for name in ("no.npy", "pickle.npy", "absent.npy"):
        with pytest.raises(BadInputError, match=rf"{name} is no \.npy file of numbers$"):
            run(app, "similar", "text", "--vector", tmp_path / name)
    with pytest.raises(BadInputError, match=r"absent\.txt can't be read"):
        run(app, "similar", "text", "--ids", tmp_path / "absent.txt")
    with pytest.raises(UnknownNameError, match=r"'\.xlsx'; allowed: \.arrow, \.csv, \.parquet"):
        run(app, "similar", "text", "--id", "c/a", "-o", tmp_path / "n.xlsx")
    with pytest.raises(BadInputError, match=f"{STEPS.view} holds sequences.*allowed: {TEXT.view}"):
        run(app, "similar", "text_steps", "--id", "c/a")
    assert "Nearest to c/a “0” in" in run(
        app, "similar", "text", "--id", "c/a", "--at-least", 1, "--emotion", "joy"
    )
    assert "nothing was found" in run(app, "similar", "text", "--id", "c/c", "--at-least", 0.99)


def test_an_archive_of_vectors_and_a_folder_that_is_not_there_are_told(app, store, tmp_path):
    np.savez(tmp_path / "many.npz", a=np.ones((1, 2)))
    with pytest.raises(BadInputError, match="many.npz is an archive"):
        run(app, "similar", "text", "--vector", tmp_path / "many.npz")
    with pytest.raises(StoreWriteError, match="none.*No such file"):
        run(app, "similar", "text", "--id", "c/a", "-o", tmp_path / "none" / "x.csv")
