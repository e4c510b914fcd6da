"""The file layer: whole or not at all, wherever the root is."""

import errno
import os
import stat
import threading
import uuid
from pathlib import Path

import pytest

from feature_repo.errors import StoreReadError, StoreWriteError
from feature_repo.files import FileLayer
from tests.feature_repo.planted import Kill, memory_root


@pytest.fixture(params=["folder", "memory", "moto", "swift"])
def files(request, tmp_path) -> FileLayer:
    if request.param in ("moto", "swift"):
        return FileLayer(request.getfixturevalue(request.param).root)
    return FileLayer(str(tmp_path / "root") if request.param == "folder" else memory_root())


@pytest.fixture
def local(tmp_path) -> FileLayer:
    return FileLayer(str(tmp_path / "root"))


def test_what_was_written_is_read(files):
    files.write("a/b/c.bin", b"one")
    assert files.read("a/b/c.bin") == b"one"
    files.write("a/b/c.bin", b"two")
    with files.open("a/b/c.bin") as source:
        assert source.read() == b"two"
    assert files.size("a/b/c.bin") == 3
    assert files.exists("a/b/c.bin")
    assert files.exists("a/b")
    assert files.modified("a/b/c.bin") > 10**9


def test_lists_are_sorted_and_tell_files_from_folders(files):
    for name in ("f/b", "f/a", "f/sub/c", "top"):
        files.write(name, b"x")
    assert files.list_files("f") == ["a", "b"]
    assert files.list_folders("f") == ["sub"]
    assert files.list_files("") == ["top"]
    assert files.list_files("absent") == files.list_folders("absent") == []


def test_a_file_that_is_not_there(files):
    for look in (files.read, files.open, files.size, files.modified):
        with pytest.raises(FileNotFoundError):
            look("absent/x")
    assert not files.exists("absent/x")
    files.remove("absent/x")
    files.remove_folder("absent")
    with pytest.raises(FileNotFoundError):
        files.move("absent/x", "y")


def test_a_name_is_created_once(files):
    files.create("a", b"1")
    with pytest.raises(StoreWriteError, match="exists already"):
        files.create("a", b"2")
    assert files.read("a") == b"1"


def test_moved_and_removed(files):
    files.write("a/x", b"1")
    files.move("a/x", "q/deep/x")
    assert (files.read("q/deep/x"), files.exists("a/x")) == (b"1", False)
    files.remove("q/deep/x")
    assert not files.exists("q/deep/x")


def test_a_folder_is_removed_with_its_files(files):
    files.write("a/x", b"1")
    files.write("a/y", b"1")
    files.remove_folder("a")
    assert files.list_files("a") == []
    assert not files.exists("a/x")


def test_urls_are_what_other_programs_take(files, tmp_path):
    files.write("a/x", b"1")
    if files.is_local:
        assert Path(files.url("a/x")).read_bytes() == b"1"
        assert files.local_path("a/x").read_bytes() == b"1"
    else:
        import fsspec

        assert fsspec.open(files.url("a/x")).open().read() == b"1"
        assert files.local_path("a/x") is None


def test_nothing_is_cached_between_two_layers(files):
    other = FileLayer(files.root)
    assert other.list_files("a") == []
    files.write("a/x", b"1")
    assert other.list_files("a") == ["x"]
    assert other.exists("a/x")


def test_a_local_write_leaves_nothing_behind_and_is_synced_before_it_is_seen(local):
    seen = []
    local.hook = lambda moment, operation, path: seen.append((moment, operation))
    local.write("a/x", b"1")
    done = [operation for moment, operation in seen if moment == "after"]
    # Both new folders are named in folders that are synced, and the data before its name.
    assert done == [
        "make_folder",
        *["sync_folder"] * 2,
        "make_folder",
        "sync_folder",
        "stage",
        "sync",
        "replace",
        "sync_folder",
    ]
    assert local.list_files("tmp") == []


def test_a_kill_between_staging_and_replacing_leaves_the_old_file(local):
    local.write("a/x", b"old")

    def kill(moment, operation, path):
        if operation == "replace" and moment == "before":
            raise Kill

    local.hook = kill
    with pytest.raises(Kill):
        local.write("a/x", b"new")
    local.hook = None
    assert local.read("a/x") == b"old"
    assert len(local.list_files("tmp")) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_takes_no_more_says_why_and_keeps_what_there_is(local, code):
    local.write("a/x", b"old")

    def fail(moment, operation, path):
        if operation == "stage" and moment == "before":
            raise OSError(code, os.strerror(code))

    local.hook = fail
    with pytest.raises(
        StoreWriteError, match=rf"a/x: {os.strerror(code)}; what was committed before stays readable"
    ):
        local.write("a/x", b"new")
    assert local.read("a/x") == b"old"
    assert local.list_files("tmp") == []


def test_an_upload_that_fails_says_why():
    files = FileLayer(memory_root())

    def fail(moment, operation, path):
        if operation == "upload":
            raise TimeoutError("no answer")

    files.hook = fail
    with pytest.raises(StoreWriteError, match=r"cannot write memory://.*a/x: the server does not answer"):
        files.write("a/x", b"new")


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("read", lambda files: files.read("a/x")),
        ("read", lambda files: files.open("a/x")),
        ("list", lambda files: files.list_files("a")),
        ("stat", lambda files: files.exists("a/x")),
        ("stat", lambda files: files.size("a/x")),
        ("stat", lambda files: files.modified("a/x")),
    ],
)
def test_a_read_that_fails_says_why(files, operation, call):
    files.write("a/x", b"1")

    def fail(moment, failing, path):
        if failing == operation:
            raise PermissionError(errno.EACCES, "Permission denied")

    files.hook = fail
    with pytest.raises(StoreReadError, match=r"cannot read .*a.*[Pp]ermission denied"):
        call(files)


def test_a_folder_removed_under_a_write_is_a_failed_write(local):
    local.write("a/x", b"1")

    def remove(moment, operation, path):
        if operation == "replace" and moment == "before":
            local.local_path("a/x").unlink()
            local.local_path("a").rmdir()

    local.hook = remove
    with pytest.raises(StoreWriteError, match="removed meanwhile"):
        local.write("a/y", b"1")


def test_others_may_read_what_was_written(local):
    local.write("a/x", b"1")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(local.local_path("a/x").stat().st_mode) == 0o666 & ~mask


def test_a_lock_lets_one_in_at_a_time(files):
    inside, worst = 0, 0

    def work():
        nonlocal inside, worst
        for _ in range(20):
            with files.lock("x"):
                inside += 1
                worst = max(worst, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_a_lock_is_free_again_when_taking_it_failed_half_way(local):
    def fail(moment, operation, path):
        if operation == "lock" and moment == "after":
            raise Kill

    local.hook = fail
    with pytest.raises(Kill) as caught, local.lock("x"):
        pass
    local.hook = None
    other = threading.Thread(target=lambda: local.lock("x").__enter__(), daemon=True)
    other.start()
    other.join(5)
    assert not other.is_alive()
    assert caught  # the traceback, and with it the lock, is still held here


def test_staged_names_never_meet(local, monkeypatch):
    names = set()
    real = uuid.uuid4
    monkeypatch.setattr("uuid.uuid4", lambda: names.add(made := real()) or made)
    for number in range(5):
        local.write(f"a/{number}", b"1")
    assert len(names) == 5


def test_a_root_is_taken_with_spaces_and_letters_of_all_kinds(tmp_path):
    files = FileLayer(str(tmp_path / "Ünïcode store #1 %20"))
    files.write("a b/é.bin", b"1")
    assert files.list_files("a b") == ["é.bin"]
    assert FileLayer(files.root).read("a b/é.bin") == b"1"
