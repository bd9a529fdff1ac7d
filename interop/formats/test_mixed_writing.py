"""Penfold and others write to the same mailbox at the same moment, and nothing is lost or garbled."""

import hashlib
import itertools
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop.formats.peers import NOBODY, dovecot, program, run, yard
from tests.mailbox_material import FORMATS, message

from penfold.formats import Maildir, Mbox, Mh, Stored
from penfold.fs.posix import PosixFileSystem

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SECONDS = float(os.environ.get("PENFOLD_MIXED_SECONDS", "10"))
Write = Callable[[bytes], object]


@pytest.fixture
def place() -> Iterator[Path]:
    with yard() as path:
        yield path


def letter(mark: str, number: int) -> bytes:
    """A message whose body proves that it is whole; with a line that mbox must quote."""
    lines = b"".join(b"line %d of %s\n" % (line, mark.encode()) for line in range(5 + number % 40))
    body = b"From the beginning\n" + lines
    digest = hashlib.sha256(lines).hexdigest().encode()
    return b"Subject: %s-%d\nX-Digest: %s\n\n%send.\n" % (mark.encode(), number, digest, body)


def found(texts: Iterator[bytes]) -> list[str]:
    """The names of all messages, each checked to be whole."""
    names = []
    for text in (octets.replace(b"\r\n", b"\n") for octets in texts):
        name = re.search(rb"(?m)^Subject: (\S+)$", text)
        digest = re.search(rb"(?m)^X-Digest: (\S+)$", text)
        lines = re.search(rb"(?m)^>?From the beginning\n((?:line .*\n)*)end\.\n", text)
        assert name, text
        assert digest, text
        assert lines, text
        assert hashlib.sha256(lines[1]).hexdigest().encode() == digest[1], text
        assert text.count(b"end.\n") == 1, text
        names.append(name[1].decode())
    return names


def penfold(
    kind: str, path: str, mark: str, until: float, done: "multiprocessing.Queue[list[str]]", pause: float
) -> None:
    """Deliver in batches until the time is over, as the peers' user."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    box = FORMATS[kind](PosixFileSystem(), path)
    stored: list[str] = []
    numbers = itertools.count()
    while time.monotonic() < until:
        batch = [next(numbers) for _ in range(1 + len(stored) % 6)]
        texts = [message(number, letter(mark, number).replace(b"\n", b"\r\n")) for number in batch]
        results = box.deliver(texts)
        stored += [f"{mark}-{n}" for n, result in zip(batch, results, strict=True) if isinstance(result, Stored)]
        time.sleep(pause)
    done.put(stored)


class Mixed:
    """Runs writers side by side for a while; ``stored`` are the names each of them was told are stored."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._until = time.monotonic() + seconds
        self.stored: dict[str, list[str]] = {}
        self._threads: list[threading.Thread] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._context = multiprocessing.get_context("fork")
        self._done: dict[str, multiprocessing.Queue[list[str]]] = {}
        self.problems: list[BaseException] = []

    def penfold(self, kind: str, path: str, mark: str, pause: float = 0.002) -> None:
        queue = self._done[mark] = self._context.Queue()
        process = self._context.Process(target=penfold, args=(kind, path, mark, self._until, queue, pause))
        process.start()
        self._processes.append(process)

    def peer(self, mark: str, write: Write) -> None:
        stored = self.stored[mark] = []

        def work() -> None:
            for number in itertools.count():
                if time.monotonic() >= self._until:
                    return
                try:
                    write(letter(mark, number))
                except BaseException as problem:
                    self.problems.append(problem)
                    return
                stored.append(f"{mark}-{number}")

        self._threads.append(threading.Thread(target=work))

    def background(self, action: Callable[[], object]) -> None:
        def work() -> None:
            while time.monotonic() < self._until:
                action()

        self._threads.append(threading.Thread(target=work))

    def run(self) -> list[str]:
        for thread in self._threads:
            thread.start()
        for mark, queue in self._done.items():
            self.stored[mark] = queue.get(timeout=SECONDS + 60)
        for each in (*self._threads, *self._processes):
            each.join(60)
        assert self.problems == []
        for mark, names in self.stored.items():
            assert names, f"{mark} never got through"
        return sorted(name for names in self.stored.values() for name in names)


def procmail(place: Path, target: str, locked: str = ":") -> Write:
    rc = place / "procmailrc"
    rc.write_text(f"MAILDIR={place}\nLOCKSLEEP=1\nLOGFILE={place}/procmail.log\n:0{locked}\n{target}\n")
    argv = [program("procmail"), "-f", "ann@example.org", str(rc)]
    return lambda text: run(place, argv, text)


def mutt_dotlock(place: Path, path: str) -> Write:
    """mutt's own lock program around an append, as a script would use it."""
    dotlock = program("mutt_dotlock")
    append = "{ echo 'From ann Mon Jan  1 00:00:00 2024'; sed 's/^>*From />&/'; echo; }"
    script = f"{dotlock} -r 100 {path} || exit 1; {append} >> {path}; {dotlock} -u {path}"
    return lambda text: run(place, ["/bin/sh", "-c", script], text)


def dovecot_lda(place: Path, location: str) -> Write:
    argv = [program("dovecot-lda"), *dovecot(place, location), "-f", "ann@example.org", "-e"]
    return lambda text: run(place, argv, text)


def test_mbox_with_procmail_mutt_and_dovecot(place: Path):
    path = str(place / "mbox")
    mixed = Mixed()
    mixed.peer("procmail", procmail(place, path))
    mixed.peer("mutt", mutt_dotlock(place, path))
    mixed.peer("dovecot", dovecot_lda(place, f"mbox:{place}/home/dovecot:INBOX={path}"))
    mixed.penfold("mbox", path, "penfold")
    mixed.penfold("mbox", path, "second")
    stored = mixed.run()
    box = Mbox(PosixFileSystem(), path)
    assert sorted(found(box.read(entry) for entry in box.scan())) == stored


def test_mbox_emptied_by_inc_into_a_folder_we_also_deliver_to(place: Path):
    path, folder = str(place / "mbox"), place / "home" / "Mail" / "inbox"
    folder.mkdir()
    os.chown(folder, NOBODY if os.geteuid() == 0 else -1, -1)
    inc = [program("inc"), "-silent", "-truncate", "-file", path, "+inbox"]
    mixed = Mixed()
    mixed.peer("procmail", procmail(place, path))
    mixed.penfold("mbox", path, "mbox")
    mixed.penfold("mh", str(folder), "folder", pause=0.1)
    mixed.background(lambda: run(place, inc, check=False))
    stored = mixed.run()
    run(place, inc, check=False)
    box = Mh(PosixFileSystem(), str(folder))
    spool = Mbox(PosixFileSystem(), path)
    texts = [box.read(entry) for entry in box.scan()] + [spool.read(entry) for entry in spool.scan()]
    names = found(iter(texts))
    assert sorted(set(names)) == stored
    # An inc that met a number of ours stops and takes the same spool again: its messages may repeat, ours do not.
    assert sorted(name for name in names if name.startswith("folder")) == sorted(mixed.stored["folder"])


def test_maildir_with_procmail_and_dovecot(place: Path):
    path = str(place / "maildir")
    mixed = Mixed()
    mixed.penfold("maildir", path, "penfold")
    mixed.penfold("maildir", path, "second")
    mixed.peer("procmail", procmail(place, f"{path}/", locked=""))
    mixed.peer("dovecot", dovecot_lda(place, f"maildir:{path}"))
    stored = mixed.run()
    box = Maildir(PosixFileSystem(), path, host="mx.example.test")
    assert sorted(found(box.read(entry) for entry in box.scan())) == stored
