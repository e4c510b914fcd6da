"""Locks between processes and machines on an object store, by tickets that expire.

Who wants the lock puts a ticket, an object with a name of its own, into the lock's folder and lists the folder. Alone
there, it has the lock; else it takes its ticket back and tries again later. It enters only once it has seen its own
ticket listed, so who lists after that sees it too: what is needed of the server is that a listing never forgets an
object that an earlier one had. Conditional writes would save a request, but several servers lack them or check the
condition before they write; and a lock that has expired could not be taken over by two at once without one removing the
other's: here every ticket has one owner, and removing an expired one twice does no harm.

A holder renews its ticket. One that was killed stops doing so, and its ticket expires by the server's clock; where the
others run on the same machine they see at once that its process is gone.
"""

import contextlib
import datetime
import functools
import hashlib
import os
import random
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import fsspec

from feature_repo.errors import StoreWriteError

BEAT_S = 5.0  # how often a holder renews its ticket
LEASE_S = 30.0  # a holder that could not renew for this long counts its lock as lost
EXPIRY_S = 45.0  # others take the ticket away after this: later, for a renewal may still be under way
TOLD_AFTER_S = 5.0  # who waits longer is told for whom
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_MODIFIED = ("LastModified", "last_modified", "updated", "mtime", "created")  # what the file systems call it


@dataclass
class _Place:
    """One lock within this process: whose turn it is among its threads, and the ticket while one has it."""

    turn: threading.RLock = field(default_factory=threading.RLock)
    depth: int = 0
    ticket: "_Ticket | None" = None


_places: dict[tuple[int, str], _Place] = {}
_places_guard = threading.Lock()


class RemoteLock:
    """The lock of one folder of an object store; a thread that holds it may take it again.

    Args:
        fs: the file system.
        folder: the lock's own folder, as the file system knows it.
        within_process: no other process can see these files, so that no ticket is needed.
    """

    def __init__(self, fs: fsspec.AbstractFileSystem, folder: str, *, within_process: bool = False) -> None:
        self._fs, self._folder, self._within_process = fs, folder, within_process
        place = f"{fs.protocol}/{getattr(fs, 'endpoint_url', None)}/{folder}"
        with _places_guard:
            self._place = _places.setdefault((os.getpid(), place), _Place())
        self._acquired = False

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        place = self._place
        place.turn.acquire()
        try:
            if place.depth == 0 and not self._within_process:
                place.ticket = _take(self._fs, self._folder)
            place.depth += 1
            self._acquired = True
        except BaseException:
            place.turn.release()
            raise

    def confirm(self) -> None:
        """See that the lock was held all the time.

        Raises:
            StoreWriteError: this process or the network stood still for so long that another may have taken it.
        """
        if self._place.ticket is not None and self._place.ticket.is_lost():
            raise StoreWriteError(
                f"the lock {self._folder} was lost: nothing could be told to the server for {LEASE_S:g} s, and another "
                "process may have written at the same time; run the command again"
            )

    def release(self) -> None:
        """Give it back; nothing happens when it was never taken."""
        if not self._acquired:
            return
        self._acquired = False
        place = self._place
        place.depth -= 1
        try:
            if place.depth == 0 and place.ticket is not None:
                ticket, place.ticket = place.ticket, None
                ticket.give_back()
        finally:
            place.turn.release()


class _Ticket:
    """A ticket that is in the folder, and renewed until it is given back."""

    def __init__(self, fs: fsspec.AbstractFileSystem, folder: str) -> None:
        self.name = f"{_process_space()}-{os.getpid()}-{uuid.uuid4().hex}"
        self._fs, self._path = fs, f"{folder}/{self.name}"
        self._over = threading.Event()
        self._renewing = threading.Lock()  # a renewal that is under way would outlive the removal
        self._lost = False
        self._renewed = time.monotonic()

    def put(self) -> None:
        asked = time.monotonic()
        self._fs.pipe_file(self._path, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._renewed = asked

    def keep(self) -> None:
        """Renew it from now on, beside whatever else is done."""
        threading.Thread(target=self._beat, name=f"lock {self._path}", daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            if self.is_lost():
                return  # another may hold the lock now: renewing would only keep it from the next
            with self._renewing, contextlib.suppress(Exception):  # the next beat tries again
                if not self._over.is_set():
                    self.put()

    def is_lost(self) -> bool:
        self._lost = self._lost or time.monotonic() - self._renewed > LEASE_S
        return self._lost

    def give_back(self) -> None:
        self._over.set()
        with self._renewing, contextlib.suppress(Exception):  # else it expires
            self._fs.rm_file(self._path)


def _take(fs: fsspec.AbstractFileSystem, folder: str) -> _Ticket:
    pause = _FIRST_PAUSE_S
    begun = time.monotonic()
    told = False
    server_ahead: float | None = None  # server's clock less this process's monotonic one
    while True:
        found: dict[str, float] = {} if server_ahead is None else _tickets(fs, folder)
        if server_ahead is None or not _alive(fs, folder, found, server_ahead):
            ticket = _Ticket(fs, folder)
            try:
                ticket.put()
                found = _tickets(fs, folder)
                if ticket.name in found:
                    server_ahead = found.pop(ticket.name) - time.monotonic()
                    if not _alive(fs, folder, found, server_ahead):
                        ticket.keep()
                        return ticket
            except BaseException:
                ticket.give_back()
                raise
            ticket.give_back()
        if not told and found and time.monotonic() - begun > TOLD_AFTER_S:
            told = True
            _tell(fs, folder, min(found))
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def _tickets(fs: fsspec.AbstractFileSystem, folder: str) -> dict[str, float]:
    """Name of each ticket in the folder to the server's time at which it was last renewed, in seconds since 1970."""
    fs.invalidate_cache()
    try:
        entries = fs.ls(folder, detail=True)
    except FileNotFoundError:
        return {}
    files = [entry for entry in entries if entry["type"] == "file" and entry["name"].rstrip("/") != folder]
    return {entry["name"].rsplit("/", 1)[-1]: _modified(fs, entry) for entry in files}


def _modified(fs: fsspec.AbstractFileSystem, entry: dict[str, object]) -> float:
    when = next((entry[key] for key in _MODIFIED if entry.get(key)), None)
    if when is None:
        when = fs.modified(entry["name"])
    if isinstance(when, str):
        when = datetime.datetime.fromisoformat(when)
    return when.timestamp() if isinstance(when, datetime.datetime) else float(str(when))


def _alive(fs: fsspec.AbstractFileSystem, folder: str, tickets: dict[str, float], ahead: float) -> bool:
    """Whether one of these tickets is held; those that aren't any more are taken out of the folder."""
    held = False
    now = time.monotonic() + ahead
    for name, renewed in tickets.items():
        if now - renewed <= EXPIRY_S and not _is_orphan(name):
            held = True
            continue
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(f"{folder}/{name}")
    return held


def _is_orphan(ticket: str) -> bool:
    """Whether the ticket's process was one of this machine's and is gone."""
    space, _, rest = ticket.partition("-")
    if not space or space != _process_space():
        return False
    try:
        pid = int(rest.partition("-")[0])
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):
        return False
    try:
        # A killed process whose parent has not looked yet still has its number.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


@functools.cache
def _process_space() -> str:
    """What two processes share that see each other under their numbers; empty where that can't be told.

    Containers share a host's name and not its processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def _tell(fs: fsspec.AbstractFileSystem, folder: str, ticket: str) -> None:
    from feature_repo.console import err  # rich: only who waits needs it

    with contextlib.suppress(OSError):
        holder = fs.cat_file(f"{folder}/{ticket}").decode(errors="replace")
        err.print(
            f"waiting for {holder}, which is writing ({folder.rpartition('/')[2]})",
            markup=False,
            highlight=False,
        )
