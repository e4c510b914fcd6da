"""`affectstore predict` from the outside: real extractors, derived faces, learned layers, and copies of stored clips.

What a run predicted of its test rows is stored with it. New copies of these clips, with nothing but their files, words
and speakers, go through the whole chain again and must get the same probabilities.
"""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import AffectStoreError, BadInputError, UnknownNameError
from feature_repo.scratch import SCRATCH
from feature_repo.store import Store, open_store
from tests.extractors.conftest import make_voice
from tests.planted_media import write_mp4
from trainers.runs.run import Run, find_run

pytestmark = pytest.mark.long  # encodes dozens of clips

EMOTIONS = ("joy", "anger", "sadness")
SPLITS = ("train", "train", "dev", "test")
PEOPLE = ("Ann", "Bob")
COUNT = 24
CLOSE = 1e-6
FAST = ("--set", "max_epochs=2", "--set", "lr=1e-3")


def picture(person: int, turn: int) -> np.ndarray:
    """A person is a texture, so that a histogram of gradients tells them apart."""
    rows, columns = np.mgrid[:64, :64]
    wave = rows if person else columns
    image = (127 + 100 * np.sin(wave / 4 + turn / 5)).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2)


class Planted:
    """24 clips of two people in six dialogues; utterance 5 has no sound, 7 no text, 11 no media at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = command_line()
        (folder / "clips").mkdir()
        rows = []
        for number in range(COUNT):
            person, emotion = number % 2, EMOTIONS[number % 3]
            clip = folder / "clips" / f"u{number}.mp4"
            track = None if number == 5 else make_voice(0.8, seed=number % 3)[None]
            write_mp4(clip, [picture(person, number)] * 10, track)
            rows.append(
                {
                    "utterance_id": f"u{number}",
                    "text": None if number == 7 else f"{emotion} words number {number}",
                    "media_uri": None if number == 11 else f"clips/u{number}.mp4",
                    "speaker_raw": PEOPLE[person],
                    "dialogue_id": f"d{number // 4}",
                    "turn": number % 4,
                    # Whole dialogues in each split.
                    "split": SPLITS[number // 4 % 4] if number < 16 else "test",
                    "emotion": emotion,
                }
            )
        self.table = pl.DataFrame(rows)
        self.table.write_parquet(folder / "calls.parquet")

    def command(self, *arguments: object) -> str:
        result = self.tried(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def tried(self, *arguments: object) -> Result:
        return CliRunner().invoke(self.app, [str(part) for part in arguments], catch_exceptions=False)

    @property
    def store(self) -> Store:
        return open_store()

    def train(self, slots: str, model: str, *more: str) -> Run:
        told = json.loads(
            self.command(
                *("train", "--slots", slots, "--model", model, "--seeds", "0", *FAST, *more),
                *("--corpus", "calls", "--json", "--device", "cpu"),
            )
        )
        return find_run(self.store.files, told[0]["key"])

    def copies(self, ids: list[str], **columns: Any) -> Path:
        """A table of copies of these utterances' clips, without labels, in a folder of its own."""
        place = self.folder / "new"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "clips", place / "clips")
        rows = self.table.filter(pl.col("utterance_id").is_in(ids)).drop("emotion", "split")
        rows.with_columns(**columns).write_parquet(place / "table.parquet")
        return place / "table.parquet"

    def predicted(self, *arguments: object) -> pl.DataFrame:
        return pl.read_json(io.StringIO(self.command("predict", *arguments, "--json", "--device", "cpu")))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("predict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTSTORE_ROOT", str(folder / "store"))
        patch.setenv("AFFECTSTORE_CACHE", str(folder / "cache"))
        patch.setenv("COLUMNS", "200")
        made = Planted(folder)
        made.command("init")
        made.command("ingest", "table", folder / "calls.parquet", "--name", "calls")
        for extractor in (("hashing", "-s", "width=48"), ("mfcc",), ("hog", "-s", "size=32")):
            made.command("extract", "-e", *extractor, "--device", "cpu")
        made.command("derive", "--set", "face.hog.similarity=0.5", "--device", "cpu")
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left_or_written(planted: Planted) -> Any:
    yield
    left = [path for path in planted.store.cache.glob(f"{SCRATCH}/*") if path.name != ".lock"]
    assert left == []
    assert planted.store.corpora() == ["calls"]


def stored_files(planted: Planted) -> dict[str, int]:
    root = Path(planted.store.root)
    return {
        str(path): path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def same(found: pl.DataFrame, run: Run) -> int:
    """Whether the predictions are those that are stored with the run; how many were compared."""
    stored = run.predictions().with_columns(pl.col("utterance_id").str.replace("calls/", ""))
    both = stored.join(found, on="utterance_id", suffix="_new")
    assert both["predicted"].to_list() == both["predicted_new"].to_list()
    for name in run.record["classes"]:
        np.testing.assert_allclose(both[f"p_{name}_new"], both[f"p_{name}"], atol=CLOSE)
    return both.height


def test_copies_of_the_test_clips_are_predicted_as_they_were(planted: Planted) -> None:
    run = planted.train("text,speech,face_steps", "mamba", "--join", "outer")
    ids = [name.removeprefix("calls/") for name in run.predictions()["utterance_id"]]
    before = stored_files(planted)
    found = planted.predicted(run.key, planted.copies(ids))
    assert stored_files(planted) == before
    assert found["utterance_id"].to_list() == [name for name in planted.table["utterance_id"] if name in ids]
    assert same(found, run) == len(ids) == 12
    assert found.select("present_text", "present_speech", "present_face_steps").to_numpy().all()


def test_with_one_two_and_three_modalities(planted: Planted) -> None:
    run = planted.train("text,speech,face_steps", "gated", "--join", "outer")
    by_corpus = planted.predicted(run.key, "--corpus", "calls").with_columns(
        pl.col("utterance_id").str.replace("calls/", "")
    )
    assert by_corpus.height == COUNT
    assert same(by_corpus, run) == 12
    present = {row["utterance_id"]: row for row in by_corpus.iter_rows(named=True)}
    lacks = {"u5": "speech", "u7": "text"}
    for name, slot in lacks.items():
        assert [present[name][f"present_{each}"] for each in ("text", "speech", "face_steps")].count(
            False
        ) == 1
        assert not present[name][f"present_{slot}"]
        assert f"no {slot}: " in present[name]["note"]
    assert [present["u11"][f"present_{each}"] for each in ("text", "speech", "face_steps")] == [
        True,
        False,
        False,
    ]
    new = planted.predicted(run.key, planted.copies(["u3", "u5", "u7", "u11"]))
    for name in run.record["classes"]:
        expected = [present[row][f"p_{name}"] for row in new["utterance_id"]]
        np.testing.assert_allclose(new[f"p_{name}"], expected, atol=CLOSE)
    without = planted.predicted(run.key, planted.copies(["u3"]), "--without", "speech")
    alike = planted.predicted(run.key, "--corpus", "calls", "--without", "speech").filter(
        utterance_id="calls/u3"
    )
    np.testing.assert_allclose(without["p_joy"], alike["p_joy"], atol=CLOSE)
    assert abs(without["p_joy"][0] - present["u3"]["p_joy"]) > CLOSE
    assert not without["present_speech"][0]


def test_a_single_clip_with_words_and_speaker(planted: Planted) -> None:
    run = planted.train("text,speech,face_steps", "gated", "--join", "outer")
    clip = planted.folder / "clips" / "u13.mp4"
    found = planted.predicted(run.key, clip, "--text", "anger words number 13", "--speaker", "Bob")
    stored = planted.predicted(run.key, "--corpus", "calls").filter(utterance_id="calls/u13")
    assert found["utterance_id"].to_list() == ["u13.mp4"]
    np.testing.assert_allclose(found["p_joy"], stored["p_joy"], atol=CLOSE)
    words = planted.tried("predict", run.key, "--text", "anger words number 13", "--device", "cpu")
    assert words.exit_code == 0
    assert "u13" not in words.stdout
    assert "text" in words.stdout


def test_an_adapter_layer_is_part_of_the_chain(planted: Planted) -> None:
    adapter = planted.train("face", "mlp")
    planted.command("embed", adapter.key, "--device", "cpu")
    (view,) = [name for name in planted.store.views() if name.startswith("face_adapter")]
    run = planted.train(f"text,adapted={view}", "gated", "--join", "outer")
    ids = [name.removeprefix("calls/") for name in run.predictions()["utterance_id"]]
    assert same(planted.predicted(run.key, planted.copies(ids)), run) == len(ids)
    lacking = planted.predicted(run.key, planted.copies(["u11"]))
    assert lacking["note"].to_list() == ["no adapted: it has no media file"]


def test_an_adapter_wants_all_of_its_slots(planted: Planted) -> None:
    run = planted.train("text,speech", "mlp")
    ids = [name.removeprefix("calls/") for name in run.predictions()["utterance_id"]]
    found = planted.predicted(run.key, planted.copies([*ids, "u5", "u7"]))
    assert same(found, run) == len(ids)
    nothing = found.filter(pl.col("predicted").is_null())
    assert nothing["utterance_id"].to_list() == ["u5", "u7"]
    assert nothing["p_joy"].null_count() == 2
    assert "has no audio track" in nothing["note"][0]
    assert nothing["note"][1] == "no text: it has no text"
    all_failed = planted.tried("predict", run.key, planted.copies(["u5", "u7"]), "--device", "cpu")
    assert all_failed.exit_code == 1
    assert "nothing could be predicted" in all_failed.stderr
    assert "must have all of text, speech" in all_failed.stderr
    with pytest.raises(BadInputError, match="needs all of its slots"):
        planted.tried("predict", run.key, "--corpus", "calls", "--without", "text")


def test_a_dialogue_is_read_as_a_dialogue(planted: Planted) -> None:
    run = planted.train("text,speech", "conversation")
    ids = [name.removeprefix("calls/") for name in run.predictions()["utterance_id"]]
    assert same(planted.predicted(run.key, planted.copies(ids)), run) == len(ids) == 12
    alone = planted.predicted(run.key, planted.copies(ids, dialogue_id=pl.col("utterance_id")))
    stored = run.predictions().with_columns(pl.col("utterance_id").str.replace("calls/", ""))
    both = stored.join(alone, on="utterance_id", suffix="_alone")
    assert np.abs(both["p_joy"] - both["p_joy_alone"]).max() > CLOSE


def test_strangers_and_the_unnamed(planted: Planted) -> None:
    run = planted.train("text,face", "gated", "--join", "outer")
    clip = planted.folder / "clips" / "u13.mp4"
    # Every frame is one face here, which needs no reference: nobody is told of one that lacks.
    result = planted.tried("predict", run.key, clip, "--speaker", "Zoe", "--device", "cpu")
    assert result.exit_code == 0
    assert "Zoe" not in result.stderr
    result = planted.tried("predict", run.key, clip, "--device", "cpu")
    assert "no speaker is named: " in result.stderr


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json"])
def test_everything_is_written(planted: Planted, ending: str) -> None:
    run = planted.train("text,speech", "mlp")
    output = planted.folder / f"out{ending}"
    told = planted.command("predict", run.key, "--corpus", "calls", "--split", "test", "-o", output)
    assert "12 of 12 predicted" in told
    read = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".json": pl.read_json}[ending](output)
    assert same(read.with_columns(pl.col("utterance_id").str.replace("calls/", "")), run) == 12
    assert read.columns == [
        "utterance_id",
        "predicted",
        *(f"p_{name}" for name in run.record["classes"]),
        "present_text",
        "present_speech",
        "note",
    ]


def test_a_group_of_runs_is_asked_together(planted: Planted) -> None:
    one = planted.train("text,speech", "mlp")
    told = planted.command(
        *("train", "--slots", "text,speech", "--model", "mlp", "--seeds", "0,1", *FAST),
        *("--corpus", "calls", "--json", "--device", "cpu"),
    )
    keys = [record["key"] for record in json.loads(told)]
    assert one.key in keys
    table = planted.copies(["u12", "u13"])
    each = [planted.predicted(key, table)["p_joy"].to_numpy() for key in keys]
    both = planted.predicted(one.record["group"], table)["p_joy"].to_numpy()
    np.testing.assert_allclose(both, (each[0] + each[1]) / 2, atol=CLOSE)
    assert "the mean of 2 runs" in planted.command("predict", one.record["group"], table, "--device", "cpu")


def test_slips_are_answered(planted: Planted) -> None:
    run = planted.train("text,speech", "mlp")
    clip = planted.folder / "clips" / "u1.mp4"
    for arguments, error, told in (
        ([], BadInputError, "say what to predict"),
        ([clip, "--corpus", "calls"], BadInputError, "say what to predict"),
        ([clip, "--split", "test"], BadInputError, "--split"),
        ([clip, "-o", "x.xls"], UnknownNameError, ".xls"),
        ([clip, "--without", "face"], UnknownNameError, "face"),
        ([clip, "--set", "model=x"], BadInputError, "extractor.key=value"),
        ([clip, "--text", "hi", "--set", "sentence.model=x"], UnknownNameError, "sentence"),
        ([clip, "--text", "hi", "--set", "hashing.width=9"], BadInputError, "text_hashing_"),
        (["--corpus", "nobody"], UnknownNameError, "nobody"),
        ([planted.folder / "gone.wav"], BadInputError, "does not exist"),
    ):
        with pytest.raises(AffectStoreError, match=told) as raised:
            planted.tried("predict", run.key, *arguments, "--device", "cpu")
        assert type(raised.value) is error


def test_ctrl_c_leaves_nothing(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    import extractors.runner

    run = planted.train("text,speech", "mlp")

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extractors.runner.Runner, "compute", interrupted)
    result = planted.tried("predict", run.key, planted.copies(["u1"]), "--device", "cpu")
    assert result.exit_code == 130
    assert "nothing was kept" in result.stderr
