"""Locks on an object store: one holder at a time among threads, processes and machines, and none for ever."""

import os
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import fsspec
import pytest

from feature_repo import locks
from feature_repo.errors import StoreWriteError
from feature_repo.files import LOCKS, FileLayer

_COUNT = """
    import sys
    from feature_repo.files import FileLayer

    files = FileLayer(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        with files.lock("count"):
            files.write("count", str(int(files.read("count")) + 1).encode())
    """
_HOLD = """
    import sys
    from feature_repo.files import FileLayer

    with FileLayer(sys.argv[1]).lock("x"):
        print("held", flush=True)
        sys.stdin.readline()
    """


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


def tickets(root: str) -> list[str]:
    files = FileLayer(root)
    return [
        f"{LOCKS}/{name}/{ticket}"
        for name in files.list_folders(LOCKS)
        for ticket in files.list_files(f"{LOCKS}/{name}")
    ]


@pytest.fixture
def quick(monkeypatch):
    for name, seconds in {"BEAT_S": 0.3, "LEASE_S": 2.0, "EXPIRY_S": 4.0}.items():
        monkeypatch.setattr(locks, name, seconds)


def test_processes_that_count_in_one_object_lose_none(s3):
    files = FileLayer(s3.root)
    files.write("count", b"0")
    children = [child(_COUNT, s3.root, "8") for _ in range(2)]
    for each in children:
        assert each.stdout.readline() == "ready\n"
    for each in children:
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in children:
        assert each.wait(120) == 0
        each.communicate()
    assert files.read("count") == b"16"
    assert tickets(s3.root) == []


def test_a_killed_holder_of_this_machine_is_succeeded_at_once(s3):
    holder = child(_HOLD, s3.root)
    assert holder.stdout.readline() == "held\n"
    assert len(tickets(s3.root)) == 1
    holder.kill()
    holder.wait()
    holder.communicate()
    begun = time.monotonic()
    with FileLayer(s3.root).lock("x"):
        pass
    assert time.monotonic() - begun < locks.EXPIRY_S / 2
    assert tickets(s3.root) == []


def test_another_machines_holder_keeps_its_lock_by_renewing_and_loses_it_by_silence(moto, quick):
    files = FileLayer(moto.root)
    elsewhere = f"{LOCKS}/x/othermachine-{os.getpid()}-{uuid.uuid4().hex}"
    files.write(elsewhere, b"process 1 on elsewhere")
    taken = threading.Event()

    def take():
        with FileLayer(moto.root).lock("x"):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    end = time.monotonic() + 6  # longer than a ticket lives that nobody renews
    while time.monotonic() < end:
        files.write(elsewhere, b"process 1 on elsewhere")
        time.sleep(0.3)
    assert not taken.is_set()
    assert taken.wait(30)
    thread.join(30)
    assert tickets(moto.root) == []


def test_a_holder_renews_its_ticket(moto, quick):
    files = FileLayer(moto.root)
    with files.lock("x"):
        (ticket,) = tickets(moto.root)
        files.remove(ticket)  # a renewal puts it back: that shows that there was one
        end = time.monotonic() + 30
        while not tickets(moto.root) and time.monotonic() < end:
            time.sleep(0.1)
        assert tickets(moto.root) == [ticket]
    time.sleep(3 * locks.BEAT_S)
    assert tickets(moto.root) == []


def test_a_holder_that_could_not_renew_is_told_that_its_lock_is_lost(moto, quick, monkeypatch):
    files = FileLayer(moto.root)

    def hold():
        with files.lock("x"):
            monkeypatch.setattr(
                locks._Ticket, "put", lambda self: (_ for _ in ()).throw(OSError("no network"))
            )
            time.sleep(locks.LEASE_S + 1)

    with pytest.raises(StoreWriteError, match="was lost"):
        hold()


def test_an_error_of_the_work_is_not_hidden_by_a_lost_lock(moto, quick, monkeypatch):
    monkeypatch.setattr(locks, "LEASE_S", 0.0)
    with pytest.raises(KeyError), FileLayer(moto.root).lock("x"):
        raise KeyError


def test_a_thread_takes_a_lock_again_that_it_holds(moto):
    files = FileLayer(moto.root)
    with files.lock("x"), FileLayer(moto.root).lock("x"):
        assert len(tickets(moto.root)) == 1
    assert tickets(moto.root) == []


def test_two_locks_do_not_know_each_other(moto):
    files = FileLayer(moto.root)
    with files.lock("x"), files.lock("y"):
        assert len(tickets(moto.root)) == 2


def test_who_is_kept_from_waiting_leaves_no_ticket(moto, monkeypatch):
    files = FileLayer(moto.root)
    files.write(f"{LOCKS}/x/othermachine-1-a", b"process 1 on elsewhere")

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(locks.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt), files.lock("x"):
        pass
    assert [ticket.rpartition("/")[2] for ticket in tickets(moto.root)] == ["othermachine-1-a"]


def test_who_waits_long_is_told_for_whom(moto, monkeypatch, capsys):
    files = FileLayer(moto.root)
    held = f"{LOCKS}/write-text/othermachine-1-a"
    files.write(held, b"process 17 on elsewhere")
    monkeypatch.setattr(locks, "TOLD_AFTER_S", 0.0)
    threading.Timer(1.5, files.remove, [held]).start()
    with files.lock("write-text"):
        pass
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("waiting for process 17 on elsewhere, which is writing (write-text)") == 1


def test_an_own_ticket_that_is_not_listed_yet_is_no_lock(moto, monkeypatch):
    # A server whose listings lag: the first does not show what was put before it.
    fs = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    real, seen = fs.ls, []

    def late(path, **options):
        seen.append(path)
        return [] if len(seen) == 1 else real(path, **options)

    monkeypatch.setattr(fs, "ls", late)
    ticket = locks._take(fs, f"{moto.name}/lock")
    ticket.give_back()
    assert len(seen) >= 2
