"""Files of a corpus: what macOS and Git LFS leave, and copies of one file."""

from pathlib import Path

import pytest

from extractors.corpora.corpus_files import files_below, one_copy_each, unfetched
from feature_repo.errors import BadInputError


def put(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_files_are_found_at_any_depth_without_what_macos_leaves(tmp_path: Path) -> None:
    names = ("b.PNG", "deep/er/a.png", "._b.png", "__MACOSX/c.png", "deep/.DS_Store", "d.jpg")
    put(tmp_path, **dict.fromkeys(names, b""))
    assert files_below(tmp_path, ".png") == [tmp_path / "b.PNG", tmp_path / "deep/er/a.png"]
    assert len(files_below(tmp_path, ".png", ".jpg")) == 3
    assert files_below(tmp_path / "absent", ".png") == []


def test_of_equal_copies_the_shallowest_is_taken(tmp_path: Path) -> None:
    put(tmp_path, **{"again/again/a.wav": b"1", "z/a.wav": b"1", "b.wav": b"2"})
    found = one_copy_each(files_below(tmp_path, ".wav"), lambda path: path.stem)
    assert found == {"a": tmp_path / "z/a.wav", "b": tmp_path / "b.wav"}


def test_different_files_of_one_name_are_refused_even_at_equal_size(tmp_path: Path) -> None:
    put(tmp_path, **{"x/a.wav": b"12", "y/a.wav": b"21"})
    with pytest.raises(BadInputError, match=r"x/a\.wav and .*y/a\.wav are different files of one name"):
        one_copy_each(files_below(tmp_path, ".wav"), lambda path: path.stem)


def test_pointers_of_git_lfs_are_told_from_clips(tmp_path: Path) -> None:
    # The text of a pointer as the specification of Git LFS gives it.
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    put(tmp_path, **{"a.wav": pointer, "b.wav": b"RIFF....", "c.wav": pointer[:20] + b"x" * 5000})
    assert unfetched(files_below(tmp_path, ".wav")) == [tmp_path / "a.wav"]
