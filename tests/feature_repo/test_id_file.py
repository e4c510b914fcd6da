"""Text files of ids, as people keep them."""

import pytest

from feature_repo.errors import BadInputError
from feature_repo.id_file import ids_in


def test_ids_are_lines_whatever_editor_wrote_them(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeffc/a\r\n  c/with space \r\n\r\nc/ä\r\n".encode())
    assert ids_in(path) == ["c/a", "c/with space", "c/ä"]


def test_what_is_no_such_file_is_told(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"c/\xe4\n")
    for name, told in (("none.txt", "No such file"), ("latin.txt", "utf-8"), ("", "Is a directory")):
        with pytest.raises(BadInputError, match=f"can't be read: .*{told}.*one id a line"):
            ids_in(tmp_path / name)
