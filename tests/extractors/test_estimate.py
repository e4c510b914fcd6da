"""Estimates against what a run then writes."""

import polars as pl
import pytest

from extractors.estimate import estimate, free_bytes
from extractors.extraction import extract
from extractors.protocol import Extractor
from extractors.registry import create
from extractors.runner import rate_key
from extractors.settings import Settings
from extractors.throughput import remember
from feature_repo.fill import plan
from feature_repo.recipe import Recipe
from feature_repo.store import init_store
from tests.extractors.conftest import MINILM, tone


@pytest.fixture
def store(tmp_path, write_wav):
    store = init_store(str(tmp_path / "store"))
    sentences = [
        "Oh my God, he's lost it. He's totally lost it.",
        "What?",
        "I was the point person on the system.",
    ]
    rows = {
        "utterance_id": [f"c/{n}" for n in range(60)],
        "text": [sentences[n % 3] for n in range(60)],
        "dialogue_id": [f"c/{n // 6}" for n in range(60)],
        "turn": [n % 6 for n in range(60)],
        "media_uri": [write_wav(tone(200 + n, 0.5 + n / 60), name=f"{n}.wav") for n in range(60)],
    }
    store.write_manifest("c", pl.DataFrame(rows))
    return store


def estimates(store, made, device="cpu"):
    recipes = list(made.recipes().values())
    return estimate(plan(store, recipes), [made], store.manifest(), device)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("hashing", {}),
        ("mfcc", {}),
        ("waveform", {}),
        ("level", {}),
        ("sentence", {"model": MINILM}),
        ("sentence", {"model": MINILM, "context": "3", "separator": " "}),
        ("waveform", {"max_seconds": "0.5"}),
    ],
)
def test_sizes_are_near_what_is_written(store, name, settings):
    made = create(name, settings)
    told = estimates(store, made)
    extract(store, [made], profile="p", device="cpu")
    for each in told:
        table = store.table(each.view)
        written = sum(len(store.files.read(table.part_path(part))) for part in table.parts())
        assert each.to_compute == 60
        assert 0.6 * written < each.size < 1.6 * written
    again = estimates(store, made)
    assert [(each.to_compute, each.up_to_date, each.size, each.seconds) for each in again] == [
        (0, 60, 0, 0.0)
    ] * len(told)


def test_time_is_unknown_until_a_run_was_measured(store):
    made = create("hashing")
    assert estimates(store, made)[0].seconds is None
    remember(rate_key(made, "cpu"), 200, 4.0)
    assert estimates(store, made)[0].seconds == pytest.approx(60 / 50)
    assert estimates(store, made, device="cuda")[0].seconds is None


def test_a_pass_that_gives_two_views_is_counted_once(store):
    made = create("sentence", {"model": MINILM})
    remember(rate_key(made, "cpu"), 100, 10.0)
    assert [each.seconds for each in estimates(store, made)] == [pytest.approx(6.0), 0.0]


def test_lengths_unknown_are_told(tmp_path):
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/0"], "media_uri": ["/no/such.wav"]}))
    assert estimates(store, create("waveform"))[0].size is None


def test_spans_tell_lengths(tmp_path):
    store = init_store(str(tmp_path / "store"))
    rows = {
        "utterance_id": ["c/0", "c/1"],
        "media_uri": ["/x.wav"] * 2,
        "start_s": [0.0, 5.0],
        "end_s": [2.0, 6.0],
    }
    store.write_manifest("c", pl.DataFrame(rows))
    assert estimates(store, create("waveform"))[0].size == pytest.approx(3 * 32_000, rel=0.01)


class Columned(Extractor):
    """States the recipe that a test gives it."""

    name, modality, needs, Settings = "columned", "faces", "frames", Settings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(Settings())
        self.recipe = recipe

    def recipes(self):
        return {self.recipe.slot: self.recipe}

    def cost(self, item):
        return 1.0

    def load(self, device):
        raise AssertionError("an estimate loads nothing")

    def extract(self, batch):
        raise AssertionError("an estimate computes nothing")


STEPS = {"time_s": "step", "x": "step", "y": "step", "score": "step", "frame_times": "floats", "whole": "int"}


@pytest.mark.parametrize(("modality", "steps"), [("faces", 3), ("offsets", 24)])
def test_frames_are_counted_by_the_seconds(tmp_path, modality, steps):
    store = init_store(str(tmp_path / "store"))
    rows = {"utterance_id": ["c/0"], "media_uri": ["/x.mp4"], "start_s": [2.0], "end_s": [5.2]}
    store.write_manifest("c", pl.DataFrame(rows))
    made = Columned(Recipe(modality, "columned", 1, "media", "steps", 512, columns=STEPS))
    (told,) = estimates(store, made)
    # 3.2 s are three frames with a face each: 512 numbers, four of the box and score.
    assert told.size == pytest.approx(steps * (512 + 4) * 4, abs=200)
    (told,) = estimates(store, Columned(Recipe(modality, "columned", 1, "media", "steps", 512)))
    assert told.size == pytest.approx(steps * 512 * 4, abs=200)


def test_a_still_image_is_one_frame(tmp_path):
    from PIL import Image

    store = init_store(str(tmp_path / "store"))
    Image.new("RGB", (48, 48)).save(tmp_path / "face.jpg")
    paths = [str(tmp_path / "face.jpg")]
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/0"], "media_uri": paths}))
    (told,) = estimates(store, Columned(Recipe("faces", "columned", 1, "media", "steps", 512)))
    assert told.size == pytest.approx(512 * 4, abs=100)


def test_records_are_their_columns(store):
    columns = {"text": "text", "language": "text", "segment_start": "floats", "rms_db": "float"}
    made = Columned(Recipe("transcript", "columned", 1, "media", "record", 0, columns=columns))
    (told,) = estimates(store, made)
    assert 60 * 60 < told.size < 60 * 400


def test_free_bytes_of_a_folder_and_of_an_object_store(tmp_path):
    assert free_bytes(str(tmp_path)) > 0
    assert free_bytes("s3://bucket/store") is None
