"""What every registered extractor must do; a new one is covered by being there."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from extractors.face_extractor import FaceExtractor
from extractors.protocol import Extractor, Item
from extractors.registry import create, extractor_class, extractor_names, register
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from tests.extractors.conftest import MINILM
from tests.extractors.face.face_items import face_items, face_settings

TEXTS = [
    "I am so happy today!",
    "No.",
    "",
    "Oh my God, he's lost it 🙂. He's totally lost it, all of it.",
    "   ",
    "What?",
]


TOKENS = {"wavlm": "frames", "roberta": "tokens"}  # settings that ask for sequences too


def at_hand(name: str, request: pytest.FixtureRequest) -> Extractor:
    """The extractor with a model that this machine has; skips when there is none."""
    settings = {"sentence": {"model": MINILM}}
    if name == "xvector":
        settings["xvector"] = {"model": str(request.getfixturevalue("tiny_wavlm"))}
    if name in ("wavlm", "roberta"):
        settings[name] = {"model": str(request.getfixturevalue(f"tiny_{name}_states")), TOKENS[name]: "yes"}
    if name == "fasterwhisper":
        settings[name] = {"model": str(request.getfixturevalue("tiny_whisper")), "compute_type": "float32"}
    if name == "giventranscript":
        settings[name] = {"file": str(write_transcripts(request.getfixturevalue("tmp_path") / "given.jsonl"))}
    if extractor_class(name).needs == "frames":
        settings[name] = face_settings(name, request.getfixturevalue("small_face_models"))
    made = create(name, settings.get(name, {}))
    try:
        made.recipes()
    except BadInputError as error:
        pytest.skip(str(error))
    return made


def write_transcripts(file: Path) -> Path:
    """A file for ``giventranscript``, of the same texts that text extractors read."""
    rows = [{"utterance_id": f"c/{index}", "transcript": text} for index, text in enumerate(TEXTS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def numbers(features: Features) -> np.ndarray:
    """What was found as one row of numbers: the value, or all of a record's columns, letters as code points."""
    if features.value is not None:
        return np.asarray(features.value, np.float64).ravel()
    parts: list[float] = []
    for name in sorted(features.columns):
        column = features.columns[name]
        for entry in column if isinstance(column, list | tuple | np.ndarray) else [column]:
            parts += map(ord, entry) if isinstance(entry, str) else [0.0 if entry is None else entry]
    return np.array(parts, np.float64)


def items_for(extractor: Extractor, request: pytest.FixtureRequest) -> list[Item]:
    if extractor.needs == "text":
        return [Item(f"c/{index}", text) for index, text in enumerate(TEXTS)]
    if isinstance(extractor, FaceExtractor):
        return face_items(extractor)
    if extractor.needs == "nothing":
        return [Item(f"c/{index}") for index in range(len(TEXTS) + 1)]  # of the last one nothing is known
    if extractor.needs != "audio":
        pytest.skip(f"no items for extractors that need {extractor.needs}")
    voice = request.getfixturevalue("voice")
    lengths = (2.0, 0.05, 1.0, 2.0, 3.3, 1.0)
    sounds = [voice(seconds, seed) for seed, seconds in enumerate(lengths)]
    sounds.insert(2, np.zeros(16_000, np.float32))
    return [Item(f"c/{index}", audio=sound) for index, sound in enumerate(sounds)]


@pytest.fixture(params=extractor_names())
def extractor(request: pytest.FixtureRequest) -> Extractor:
    return at_hand(request.param, request)


def test_the_known_extractors_are_found():
    assert {"sentence", "hashing", "resemblyzer", "xvector", "mfcc", "waveform"} <= set(extractor_names())


def test_recipes_carry_the_extractors_name_and_modality(extractor):
    for output, recipe in extractor.recipes().items():
        assert recipe.extractor == extractor.name
        assert recipe.modality == extractor.modality
        assert output == recipe.slot
        assert recipe.reads == ("text" if extractor.needs == "text" else "media")
        assert Recipe.from_identity(recipe.identity()) == recipe


def test_a_batch_of_many_equals_batches_of_one(extractor, request):
    items = items_for(extractor, request)
    extractor.load("cpu")
    together = extractor.extract(items)
    assert len(together) == len(items)
    computed = 0
    for item, outcome in zip(items, together, strict=True):
        (alone,) = extractor.extract([item])
        assert type(alone) is type(outcome)
        if isinstance(outcome, Fault):
            assert (outcome.stage, outcome.error) == (alone.stage, alone.error)
            assert item.utterance_id in outcome.message
            continue
        assert isinstance(outcome, Mapping)
        assert set(outcome) == set(extractor.recipes())
        for output, recipe in extractor.recipes().items():
            stored, single = gated(recipe, outcome[output]), gated(recipe, alone[output])
            assert isinstance(stored, Features), stored
            assert isinstance(single, Features), single
            assert stored.note == single.note
            assert set(stored.columns) == set(single.columns)
            for name, column in stored.columns.items():
                if isinstance(column, np.ndarray):
                    scale = np.abs(single.columns[name]).max(initial=0.0)
                    apart = np.abs(column - single.columns[name]).max(initial=0.0)
                    assert apart <= extractor.batch_tolerance * scale, name
                else:
                    assert column == single.columns[name], name
            if stored.note:
                assert stored.value is None
                continue
            computed += 1
            if recipe.layout == "record":
                continue
            assert stored.value.dtype == recipe.dtype
            assert stored.value.shape[-1] == recipe.width
            wide = np.asarray(alone[output].value, np.float64)
            scale = np.abs(wide).max()
            assert np.abs(stored.value - wide).max() <= extractor.batch_tolerance * scale
    assert computed >= 4


def test_different_inputs_give_different_outputs(extractor, request):
    extractor.load("cpu")
    outcomes = [
        each for each in extractor.extract(items_for(extractor, request)) if isinstance(each, Mapping)
    ]
    for output in extractor.recipes():
        values = [numbers(each[output]) for each in outcomes if not each[output].note]
        assert len({value.tobytes() for value in values}) == len(values) > 1


def test_recipes_of_all_extractors_import_no_model_library(
    tiny_wavlm, tiny_wavlm_states, tiny_roberta_states, tiny_whisper, small_face_models, tmp_path
):
    program = f"""
import sys
from extractors.registry import create, extractor_names
from feature_repo.errors import BadInputError
settings = {{"sentence": {{"model": {MINILM!r}}}, "xvector": {{"model": {str(tiny_wavlm)!r}}},
            "wavlm": {{"model": {str(tiny_wavlm_states)!r}}},
            "roberta": {{"model": {str(tiny_roberta_states)!r}}},
            "onnxface": {face_settings("onnxface", small_face_models)!r},
            "facenet512": {face_settings("facenet512", small_face_models)!r},
            "fasterwhisper": {{"model": {str(tiny_whisper)!r}}},
            "giventranscript": {{"file": {str(write_transcripts(tmp_path / "given.jsonl"))!r}}}}}
stated = 0
for name in extractor_names():
    try:
        stated += len(create(name, settings.get(name, {{}})).recipes())
    except BadInputError:
        pass
heavy = {{"torch", "transformers", "sentence_transformers", "sklearn", "librosa", "av", "resemblyzer", "numba",
          "huggingface_hub", "scipy", "cv2", "onnxruntime", "deepface", "tensorflow", "skimage",
          "ultralytics", "faster_whisper", "ctranslate2", "tokenizers"}} & set(sys.modules)
print(stated, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    stated, heavy = done.stdout.strip().split(" ", 1)
    assert int(stated) >= 15
    assert heavy == "[]"


def test_an_unknown_extractor_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown extractor 'sentense'; allowed: .*sentence"):
        create("sentense")
    with pytest.raises(
        UnknownNameError, match="hashing 'dimensions'; allowed: batch_size, context, .*, width"
    ):
        create("hashing", {"dimensions": "5"})


def test_two_extractors_of_one_name_are_refused():
    class Other(extractor_class("hashing")):
        pass

    with pytest.raises(ValueError, match="two extractors are named 'hashing'"):
        register(Other)
