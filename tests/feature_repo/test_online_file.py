"""Erasure in an SQLite file, looked at byte by byte."""

import sqlite3
from pathlib import Path

import pytest

from feature_repo import online_file
from feature_repo.errors import StoreWriteError
from feature_repo.online_file import drop_tables_but, erase_rows

SECRETS = [b"a voice that was replaced" * 40, b"a voice that is there" * 40]
OTHER = b"somebody else" * 40


@pytest.fixture
def path(tmp_path) -> Path:
    """A file as Feast leaves it: overwritten rows, two views, a table that is not Feast's."""
    path = tmp_path / "online.db"
    with sqlite3.connect(path) as database:
        for table in ("p_text", "p_face", "q_text"):
            database.execute(f"CREATE TABLE {table} (entity_key BLOB PRIMARY KEY, value BLOB)")
            database.execute(f"INSERT INTO {table} VALUES (?, ?)", (b"me", SECRETS[0]))
            database.execute(f"INSERT INTO {table} VALUES (?, ?)", (b"you", OTHER))
        database.execute("CREATE TABLE notes (words TEXT)")
    with sqlite3.connect(path) as database:
        for table in ("p_text", "p_face", "q_text"):
            database.execute(f"UPDATE {table} SET value = ? WHERE entity_key = ?", (SECRETS[1], b"me"))
    database.close()
    return path


def tables(path: Path) -> set[str]:
    database = sqlite3.connect(path)
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_erased_rows_are_in_no_page_of_the_file_and_others_are(path):
    erase_rows(path, [b"me", b"nobody"])
    content = path.read_bytes()
    assert not any(secret in content for secret in SECRETS)
    assert OTHER in content
    assert tables(path) == {"p_text", "p_face", "q_text", "notes"}


def test_further_keys_are_erased_from_their_table_alone(path):
    erase_rows(path, [b"nobody"], {"p_text": [b"me"], "p_gone": [b"you"]})
    with sqlite3.connect(path) as database:
        left = {
            table: [key for (key,) in database.execute(f"SELECT entity_key FROM {table} ORDER BY 1")]
            for table in ("p_text", "p_face", "q_text")
        }
    database.close()
    assert left == {"p_text": [b"you"], "p_face": [b"me", b"you"], "q_text": [b"me", b"you"]}


def test_a_dropped_view_s_values_are_in_no_page_and_other_projects_keep_theirs(path):
    drop_tables_but(path, "p", ["face"])
    assert tables(path) == {"p_face", "q_text", "notes"}
    drop_tables_but(path, "p", [])
    drop_tables_but(path, "q", [])
    assert tables(path) == {"notes"}
    assert not any(value in path.read_bytes() for value in (*SECRETS, OTHER))


def test_a_file_that_another_process_holds_is_told(path, monkeypatch):
    monkeypatch.setattr(online_file, "_PATIENCE_S", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreWriteError, match=r"online\.db could not be cleared .*stop the feature server"):
        erase_rows(path, [b"me"])
    holder.execute("ROLLBACK")
    erase_rows(path, [b"me"])
