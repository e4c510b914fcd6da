import numpy as np
import pytest

from feature_repo.archive import write_archive
from feature_repo.errors import StoreWriteError


def test_arrays_come_back_by_name_without_pickle(tmp_path):
    arrays = {"file": np.arange(3), "texts": np.array(["a", "é"]), "none": np.empty((0, 4), np.float32)}
    write_archive(tmp_path / "one.npz", arrays)
    with np.load(tmp_path / "one.npz") as archive:
        assert set(archive.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(archive[name], array)


def test_an_older_archive_survives_a_failed_write_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    write_archive(tmp_path / "one.npz", {"a": np.arange(3)})
    before = (tmp_path / "one.npz").read_bytes()

    def full(sink, array, **options):
        sink.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(StoreWriteError, match=r"one\.npz: No space left"):
        write_archive(tmp_path / "one.npz", {"a": np.arange(4)})
    assert (tmp_path / "one.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]
