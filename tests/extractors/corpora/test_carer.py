"""CARER on generated files in each published form."""

import json
from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

# Hugging Face's `emotion`: 0 sadness 1 joy 2 love 3 anger 4 fear 5 surprise.
CODES = ("sadness", "joy", "love", "anger", "fear", "surprise")
EMOTIONS = ["sadness", "joy", "joy", "anger", "fear", "surprise"]
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
TEXTS = [f'i feel {name}; and "so\u2028on, {name}' for name in CODES]


def write(folder: Path, form: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in SPLITS.values():
        if form == "txt":
            lines = [f"{text};{code}" for text, code in zip(TEXTS, CODES, strict=True)]
            (folder / f"{name.replace('validation', 'val')}.txt").write_text(
                "\r\n".join(lines) + "\n", "utf-8"
            )
        elif form == "csv":
            rows = pl.DataFrame({"text": TEXTS, "label": range(6)})
            rows.write_csv(folder / f"{name.replace('train', 'training')}.csv")
        elif form == "jsonl":
            lines = [json.dumps({"text": text, "label": code}) for code, text in enumerate(TEXTS)]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
        else:
            (folder / "split").mkdir(exist_ok=True)
            rows = pl.DataFrame({"text": TEXTS, "label": range(6)})
            rows.write_parquet(folder / "split" / f"{name}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize("form", ["txt", "csv", "jsonl", "parquet"])
def test_every_published_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    found = conform(reader("carer").read(write(tmp_path, form)), "carer")
    for split in SPLITS:
        rows = found.filter(split=split)
        assert rows["utterance_id"].to_list() == [f"carer/{split}/{number}" for number in range(6)]
        assert rows["text"].to_list() == TEXTS
        assert rows["label_raw"].to_list() == list(CODES)
        assert rows["emotion"].to_list() == EMOTIONS
    assert set(found.filter(label_raw="love")["label_note"]) == {"love to joy"}
    assert set(found["language"]) == {"en"}


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "txt", "txt")
    (folder / "test.txt").write_text("ok;joy\nno label here\n")
    with pytest.raises(BadInputError, match=r"test\.txt: line 2: expected TEXT;LABEL"):
        reader("carer").read(folder)
    (folder / "test.txt").write_text("ok;glee\n")
    with pytest.raises(UnknownNameError, match="'glee'"):
        reader("carer").read(folder)
    (folder / "test.txt").unlink()
    with pytest.raises(BadInputError, match="split 'test'"):
        reader("carer").read(folder)
    folder = write(tmp_path / "jsonl", "jsonl")
    for wrong in ('{"text": "a"}', '["a"]', '{"text": 1, "label": 1}', "{"):
        (folder / "validation.jsonl").write_text('{"text": "a", "label": 1}\n' + wrong)
        with pytest.raises(BadInputError, match=r"validation\.jsonl: line 2"):
            reader("carer").read(folder)
    folder = write(tmp_path / "parquet", "parquet")
    part = folder / "split" / "test-00000-of-00001.parquet"
    pl.DataFrame({"text": ["a", None], "label": [1, 2]}).write_parquet(part)
    with pytest.raises(BadInputError, match="row 1 has no text"):
        reader("carer").read(folder)
    pl.DataFrame({"text": ["a"], "emotion": [1]}).write_parquet(part)
    with pytest.raises(UnknownNameError, match="'label'.*emotion, text"):
        reader("carer").read(folder)
    part.write_bytes(b"PAR1 half")
    with pytest.raises(BadInputError, match="not a readable Parquet"):
        reader("carer").read(folder)
    part.rename(folder / "split" / "test-00000-of-00002.parquet")
    (folder / "split" / "test-00001-of-00002.parquet").write_bytes(b"")
    with pytest.raises(BadInputError, match="2 parts"):
        reader("carer").read(folder)
