"""Exports as their users read them: by NumPy, safetensors, datasets, and MMSA's way of looking into its pickle."""

import json
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError
from feature_repo.exchange.exporting import LICENCES, bundle_of, licence_warnings, write_export
from feature_repo.exchange.registry import format_named, format_names, format_to_read, format_to_write
from feature_repo.steps import Steps
from feature_repo.terms import Terms
from tests.feature_repo.exchange.planted_exchange import FACE, SPEECH, TERMS, TEXT, WAVE, WORDS, make_store

SLOTS = [TEXT.view, f"words={WORDS.view}", SPEECH.view, FACE.view, WAVE.view]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("planted"))


def export(store, name, path, slots=SLOTS):
    bundle, pulled = bundle_of(store, slots)
    return write_export(format_named(name), bundle, path), pulled


def check_arrays(arrays, pulled):
    for slot, value in pulled.features.items():
        np.testing.assert_array_equal(arrays[f"{slot}_present"], pulled.present[slot])
        if isinstance(value, Steps):
            flat, offsets = value.flat()
            np.testing.assert_array_equal(arrays[f"{slot}_offsets"], offsets)
            np.testing.assert_array_equal(arrays[slot], flat)
            assert arrays[slot].dtype == flat.dtype
        else:
            np.testing.assert_array_equal(arrays[slot], value)
    np.testing.assert_array_equal(arrays["labels"], pulled.labels)


def test_numpy_reads_an_archive_without_pickle(store, tmp_path):
    _, pulled = export(store, "npz", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        check_arrays(arrays, pulled)
        assert arrays["ids"].tolist() == pulled.ids
        assert arrays["classes"].tolist() == list(pulled.classes)
        assert arrays["manifest_text"].tolist() == [text or "" for text in pulled.manifest["text"]]
        assert arrays["manifest_split"].tolist() == pulled.manifest["split"].to_list()
        facts = json.loads(str(arrays["affectstore"]))
    assert facts["slots"]["text"]["recipe"] == TEXT.identity()
    assert facts["licences"]["c"] == {"licence": TERMS.licence, "redistributable": False}


def test_safetensors_reads_its_file_and_the_metadata_name_the_rows(store, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    _, pulled = export(store, "safetensors", tmp_path / "x.safetensors")
    check_arrays(load_file(tmp_path / "x.safetensors"), pulled)
    with safe_open(tmp_path / "x.safetensors", framework="np") as opened:
        metadata = opened.metadata()
    assert json.loads(metadata["ids"]) == pulled.ids
    assert json.loads(metadata["classes"]) == list(pulled.classes)
    assert TERMS.licence in metadata["licences"]


def test_torch_reads_the_same_tensors(store, tmp_path):
    from safetensors.torch import load_file

    _, pulled = export(store, "safetensors", tmp_path / "x.safetensors")
    tensors = load_file(tmp_path / "x.safetensors")
    check_arrays({name: tensor.numpy() for name, tensor in tensors.items()}, pulled)


def test_datasets_loads_its_folder(store, tmp_path):
    from datasets import load_from_disk

    export(store, "hf", tmp_path / "x")
    _, pulled = export(store, "hf", tmp_path / "x")  # an older export is replaced
    found = load_from_disk(str(tmp_path / "x"))
    assert found["utterance_id"][:] == pulled.ids
    assert found["text"][:] == pulled.manifest["text"].to_list()
    assert found.features["label"].names == list(pulled.classes)
    assert found["label"][:] == [None if label < 0 else label for label in pulled.labels.tolist()]
    assert TERMS.licence in found.info.license
    assert TERMS.licence in (tmp_path / "x" / LICENCES).read_text("utf-8")
    for slot, value in pulled.features.items():
        column = found[f"{slot}/values"][:]
        for row, (kept, here) in enumerate(zip(column, pulled.present[slot], strict=True)):
            assert (kept is not None) == here
            if here:
                expected = value.row(row) if isinstance(value, Steps) else value[row]
                np.testing.assert_array_equal(np.asarray(kept, expected.dtype), expected)
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


MMSA = [f"text={WORDS.view}", SPEECH.view, FACE.view]


@pytest.fixture(scope="module")
def mmsa(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("mmsa") / "x.pkl"
    _, pulled = export(store, "mmsa", path, MMSA)
    with path.open("rb") as source:
        return pickle.load(source), pulled


def test_mmsa_finds_what_its_loader_asks_for(mmsa):
    # What the loader does with each of the three splits: arrays of floats, indexed by row, and numbers as labels.
    data, pulled = mmsa
    rows = 0
    for split, ours in (("train", "train"), ("valid", "dev"), ("test", "test")):
        part = data[split]
        text, vision, audio = (part[name].astype(np.float32) for name in ("text", "vision", "audio"))
        labels = np.array(part["regression_labels"]).astype(np.float32)
        audio[audio == -np.inf] = 0
        assert {len(text), len(vision), len(audio), len(part["raw_text"]), len(part["id"])} == {len(labels)}
        assert (text.shape[2], audio.shape[2], vision.shape[2]) == (3, 2, 4)
        assert text.ndim == audio.ndim == vision.ndim == 3
        assert set(labels.tolist()) <= {-1.0, 0.0, 1.0}
        assert part["classification_labels"].tolist() == (labels + 1).astype(int).tolist()
        for index, name in enumerate(part["id"]):
            row = pulled.ids.index(name)
            assert pulled.manifest["split"][row] == ours
            for key, slot, padded in (("text", "text", text), ("audio", "speech_steps", audio)):
                length = part[f"{key}_lengths"][index]
                steps = pulled.features[slot].row(row)
                assert 1 <= length == max(1, len(steps)) <= padded.shape[1]
                np.testing.assert_array_equal(padded[index, : len(steps)], steps.astype(np.float32))
                assert not padded[index, len(steps) :].any()
            np.testing.assert_array_equal(vision[index, 0], pulled.features["face"][row])
            assert part["raw_text"][index] == (pulled.manifest["text"][row] or "")
        rows += len(labels)
    sentiment = {"joy": 1.0, "anger": -1.0, "neutral": 0.0}
    for index, name in enumerate(data["train"]["id"]):
        emotion = pulled.manifest["emotion"][pulled.ids.index(name)]
        assert data["train"]["regression_labels"][index] == sentiment[emotion]
    assert rows + len(data["rest"]["id"]) == len(pulled)
    assert {"c/d1_u1"} < set(data["rest"]["id"])  # of no split


def test_mmsa_s_pickle_names_nothing_that_an_older_numpy_lacks(store, tmp_path):
    names = set()

    class Recording(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    export(store, "mmsa", tmp_path / "x.pkl", MMSA)
    with (tmp_path / "x.pkl").open("rb") as source:
        Recording(source).load()
    assert "numpy.ndarray" in names
    assert names <= {"numpy.ndarray", "numpy.dtype", "builtins.bytearray"}


def test_what_mmsa_lacks_is_told_and_what_it_cannot_hold_refused(store):
    bundle, _ = bundle_of(store, [TEXT.view])
    told = " ".join(format_named("mmsa").remarks(bundle))
    assert "audio has no slot" in told
    assert "vision has no slot" in told
    assert "rest" in told
    both, _ = bundle_of(store, [TEXT.view, f"words={WORDS.view}"])
    with pytest.raises(BadInputError, match="'text' and 'words' are both text"):
        format_named("mmsa").remarks(both)


@pytest.mark.parametrize("name", format_names(exports=True))
def test_licences_lie_beside_or_inside_and_nothing_half_written_stays(store, tmp_path, name):
    kind = format_named(name)
    path = tmp_path / f"x{kind.suffixes[0] if kind.suffixes else ''}"
    slots = MMSA if name == "mmsa" else SLOTS
    bundle, _ = bundle_of(store, slots)

    class Broken(type(kind)):
        def write(self, bundle, path, on_rows):
            super().write(bundle, path, on_rows)
            raise OSError(28, "No space left on device")

    before = list(tmp_path.iterdir())
    with pytest.raises(Exception, match="No space left"):
        write_export(Broken(), bundle, path)
    assert list(tmp_path.iterdir()) == before
    seen = []
    (*_, last) = write_export(kind, bundle, path, seen.append)
    text = (last / LICENCES if last.is_dir() else last).read_text("utf-8")
    assert f"c: {TERMS.licence}" in text
    assert "must not be passed on" in text
    assert sum(seen) == len(bundle) * len(bundle.slots)


@pytest.mark.parametrize("name", format_names(exports=True))
def test_a_changed_number_is_noticed(store, tmp_path, name):
    kind = format_named(name)
    path = tmp_path / f"x{kind.suffixes[0] if kind.suffixes else ''}"
    bundle, pulled = bundle_of(store, [TEXT.view])
    write_export(kind, bundle, path)
    number = pulled.features["text"][np.flatnonzero(pulled.present["text"])[0], 2].tobytes()
    files = [each for each in (path.rglob("*") if path.is_dir() else [path]) if each.is_file()]
    (file,) = [each for each in files if number in each.read_bytes()]
    data = file.read_bytes()
    assert data.count(number) == 1
    file.write_bytes(data.replace(number, bytes([number[0] ^ 1]) + number[1:]))
    with pytest.raises(BadInputError):
        format_to_read(path, name).read(path)


def test_a_folder_of_something_else_is_not_overwritten(store, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInputError, match="holds something else"):
        export(store, "hf", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_can_not_be_replaced_is_as_it_was(store, tmp_path, monkeypatch):
    path = tmp_path / "x"
    export(store, "hf", path, [TEXT.view])
    before = {each.name: each.read_bytes() for each in path.iterdir()}
    replace = Path.replace

    def refusing(self, target):
        if Path(target) == path:  # the first time alone: the older one is to come back
            monkeypatch.setattr(Path, "replace", replace)
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(StoreWriteError, match="No space left"):
        export(store, "hf", path, [TEXT.view])
    assert {each.name: each.read_bytes() for each in path.iterdir()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_no_path_of_this_machine_leaves_it(tmp_path):
    store = make_store(tmp_path, (TEXT,), 8)
    clip = tmp_path / "secret folder" / "clip.wav"
    rows = store.manifest(["c"]).select("utterance_id", "split", "text")

    store.write_manifest("c", rows.with_columns(media_uri=pl.lit(str(clip))))
    export(store, "npz", tmp_path / "x.npz", [TEXT.view])
    bundle = format_to_read(tmp_path / "x.npz").read(tmp_path / "x.npz")
    assert bundle.manifest.filter(corpus="c")["media_uri"].unique().to_list() == ["clip.wav"]


def test_what_may_not_be_passed_on_is_said():
    told = licence_warnings({"a": Terms("closed", False), "b": Terms("open", True), "c": Terms()})
    assert told[0] == "a: must not be passed on (closed)"
    assert "don't say" in told[1]
    assert len(told) == 2


def test_a_format_is_told_by_its_ending_or_its_bytes(store, tmp_path):
    assert format_to_write(tmp_path / "x.npz").name == "npz"
    assert format_to_write(tmp_path / "x", "hf").name == "hf"
    with pytest.raises(BadInputError, match="--format"):
        format_to_write(tmp_path / "x.csv")
    with pytest.raises(UnknownNameError, match="dialogues"):
        format_to_write(tmp_path / "x.pkl", "dialogues")
    with pytest.raises(UnknownNameError, match="allowed: dialogues, hf, mmsa, npz, safetensors"):
        format_to_write(tmp_path / "x", "csv")
    for name in ("npz", "safetensors", "mmsa", "hf"):
        export(store, name, tmp_path / name, MMSA)
        assert format_to_read(tmp_path / name).name == name
    (tmp_path / "x.txt").write_text("no such thing")
    with pytest.raises(BadInputError, match="no known format"):
        format_to_read(tmp_path / "x.txt")
    with pytest.raises(BadInputError, match="no such file"):
        format_to_read(tmp_path / "absent")
