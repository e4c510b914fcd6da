"""``derive`` and ``calibrate`` as a user types them, on real clips with YuNet and MobileFaceNet."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from extractors.commands import add_commands
from extractors.extraction import extract
from extractors.quality.derivation import Watch
from extractors.registry import create
from feature_repo.records import live_rows
from feature_repo.store import Store, init_store, open_store
from tests.extractors.quality.conftest import records

# One man in three clips; a clip of another and one of nobody under his name; others in a clip each; several people.
CLIPS: dict[str, tuple[str | None, str]] = {
    "real/leo1": ("leo", "single_face.mp4"),
    "real/leo2": ("leo", "face_noface.mov"),
    "real/leo3": ("leo", "noface_face.mov"),
    "real/leo4": ("leo", "d0.mp4"),
    "real/leo5": ("leo", "no_face.mp4"),
    "real/ana": ("ana", "WDA_AlexandriaOcasioCortez_000.mp4"),
    "real/kat": ("kat", "WDA_KatieHill_000.mp4"),
    "real/gil": ("gil", "d20.mp4"),
    "real/ham": (None, "short_hamilton_clip.mp4"),
}
SECONDS = {"real/ana": 2.0, "real/kat": 2.0, "real/gil": 3.0, "real/ham": 3.0}  # the rest are played whole
Run = Callable[..., str]


@pytest.fixture(scope="module")
def looked(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose faces are computed; copied for each test."""
    pytest.importorskip("cv2")
    pytest.importorskip("onnxruntime")
    root = tmp_path_factory.mktemp("looked") / "store"
    store = init_store(str(root))
    clips = samples / "data" / "clips"
    store.write_manifest(
        "real",
        pl.DataFrame(
            {
                "utterance_id": list(CLIPS),
                "speaker_id": [speaker for speaker, _ in CLIPS.values()],
                "media_uri": [str(clips / name) for _, name in CLIPS.values()],
                "start_s": [0.0] * len(CLIPS),
                "end_s": [SECONDS.get(name) for name in CLIPS],
            },
            schema_overrides={"speaker_id": pl.String, "end_s": pl.Float64},
        ),
    )
    models = samples / "models"
    settings = {
        "model": str(models / "mobilefacenet" / "MobileFaceNet.onnx"),
        "detector": "yunet",
        "detector_model": str(models / "yunet" / "face_detection_yunet_2026may.onnx"),
    }
    extract(store, [create("onnxface", settings)], profile="default", device="cpu")
    return root


@pytest.fixture
def store(looked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    root = tmp_path / "store"
    shutil.copytree(looked, root)
    monkeypatch.setenv("AFFECTSTORE_ROOT", str(root))
    monkeypatch.setenv("COLUMNS", "220")
    return open_store(str(root))


@pytest.fixture
def run() -> Run:
    app = typer.Typer()
    add_commands(app)

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


THRESHOLD = ("--set", "face.MobileFaceNet.similarity=0.5")


def test_one_mans_clips_match_and_nobody_elses(store: Store, run: Run) -> None:
    output = run("derive", *THRESHOLD, "--device", "cpu")
    assert "the face of each speaker" in output
    assert "skipped alignment: profile 'default' has no transcripts" in output
    assert "nothing to do" not in output
    reference = records(store, "reference")
    assert (reference["leo"]["clips"], reference["leo"]["supporting"]) == (5, 3)
    assert set(reference["leo"]["used_utterance"]) == {"real/leo1", "real/leo2", "real/leo3"}
    assert reference["leo"]["margin"] == pytest.approx(2 / 3)
    assert reference["leo"]["cohesion"] > 0.9
    match = records(store, "match")
    assert min(match[f"real/leo{n}"]["similarity"] for n in (1, 2, 3)) > 0.9
    assert match["real/leo4"]["similarity"] < 0.4, "somebody else"
    assert match["real/leo5"]["faces"] == 0
    assert (match["real/leo2"]["frames"], match["real/leo2"]["faced"]) == (6, 2), "he leaves the picture"
    assert match["real/ham"]["reference"] == 0
    around = records(store, "offsetmatch")
    assert sorted(around) == ["real/leo4", "real/leo5"]
    assert around["real/leo4"]["similarity"] < 0.45
    assert around["real/leo5"]["faces"] == 0
    steps = records(store, "face_steps")
    assert {name for name, row in steps.items() if row["n"] == 0} == {"real/leo4", "real/leo5"}
    assert steps["real/leo3"]["time_s"] == [4.5, 5.5], "he comes into the picture"
    assert steps["real/ham"]["n"] == 3, "of nobody in particular the surest face of each frame"


def test_a_second_time_nothing_is_done(store: Store, run: Run) -> None:
    run("derive", *THRESHOLD)
    parts = {view: store.files.list_files(f"features/{view}") for view in store.views()}
    output = run("derive", *THRESHOLD)
    assert "nothing to do: 0 rows computed, no model was loaded" in output
    assert {view: store.files.list_files(f"features/{view}") for view in store.views()} == parts


def test_a_review_changes_its_speaker_alone(store: Store, run: Run) -> None:
    run("derive", *THRESHOLD)
    before = records(store, "match")
    # The reviewer says that the man in the fourth clip is Leo.
    view = store.catalog.slots("default")["faces_steps"]
    store.reviews.add(
        pl.DataFrame({"utterance_id": ["real/leo4"], "view": [view], "face": [0], "decision": ["keep"]})
    )
    run("derive", *THRESHOLD)
    after = records(store, "match")
    assert after["real/leo4"]["similarity"] > 0.8
    assert after["real/leo1"]["similarity"] < 0.4
    others = [name for name in before if not name.startswith("real/leo")]
    assert {name: before[name] for name in others} == {name: after[name] for name in others}


def test_calibrate_reads_a_threshold_that_derive_then_uses(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("feature_repo.quality_config.space_name", lambda store, view: "NewNet")
        output = run("derive", code=1)
    assert "no similarity threshold is known for the face embedder 'NewNet'" in output
    output = run("calibrate")
    assert "equal error rate 0.00%" in output
    assert "so few pairs say little" in output, "three clips of one man, two of others"
    assert "--write puts" in output
    assert not store.files.exists("quality.toml")
    output = run("calibrate", "face", "--write")
    assert "written to the store's quality.toml: face.MobileFaceNet 0." in output
    output = run("calibrate")
    assert "now in force: 0." in output
    run("derive")
    told = records(store, "face")
    assert {name for name, row in told.items() if row["note"]} == {"real/leo4", "real/leo5"}
    with pytest.raises(Exception, match="profile 'default' has no transcripts and texts"):
        run("calibrate", "text")
    with pytest.raises(Exception, match="unknown thing to calibrate 'sound'"):
        run("calibrate", "sound")


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extractors.quality import derivation

    derive = derivation.derive

    def interrupted(*arguments: object, watch: Watch, **options: object) -> object:
        seen = 0

        def on_progress(count: int) -> None:
            nonlocal seen
            seen += 1
            if seen == 6:
                raise KeyboardInterrupt

        return derive(*arguments, watch=Watch(watch.on_step, watch.on_plan, on_progress), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(derivation, "derive", interrupted)
    output = run("derive", *THRESHOLD, code=130)
    assert "interrupted at match" in output
    assert "the same command goes on from here" in output
    slots = store.catalog.slots("default")
    assert live_rows(store, slots["reference"]).height == 4
    assert live_rows(store, slots["match"]).height == 2
    monkeypatch.setattr(derivation, "derive", derive)
    output = run("derive", *THRESHOLD)
    assert live_rows(store, slots["match"]).height == len(CLIPS)


def test_a_setting_that_is_none(store: Store, run: Run) -> None:
    with pytest.raises(Exception, match="--faces 'detector_model': must be key=value"):
        run("derive", "--faces", "detector_model")
    output = run("derive", *THRESHOLD, "--faces", "detector_model=/nowhere.onnx")
    assert "skipped offsets, offsetmatch: detector_model '/nowhere.onnx': no such file" in output
