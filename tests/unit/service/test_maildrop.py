"""The maildrop: what sendmail left is sent once and removed; what is no mail is set aside, never lost."""

import asyncio
import errno
import os
import socket
import time

import pytest

from penfold.config.load import loads
from penfold.directory.routing import Routing
from penfold.guard.base import Guard
from penfold.guard.relay import RelayRule
from penfold.intake.transaction import Door, Limits
from penfold.model import Reply, Transient
from penfold.net.leash import Drain, Join, Leash
from penfold.protocols.pickup.writer import END, chunk, head
from penfold.queue.memory import MemoryQueue
from penfold.service.compose import House
from penfold.service.maildrop import Maildrop
from penfold.service.opener import DirectOpener, RemoteOpener, work
from penfold.telemetry.events import Remembered, Trouble
from penfold.transport.receive.pickup import Caller, LocalHouse

CONFIG = 'hostname = "mx.example.test"\nlocal_domains = ["example.test"]\n[[account]]\naddress = "ada@example.test"\n'
LIMIT = 100_000


class Silent:
    def accepted(self, *_):
        pass

    def refused(self, *_):
        pass


class Full(MemoryQueue):
    def begin(self):
        raise Transient(Reply.of(452, "4.3.1", "Insufficient system storage"))


class Place:
    def __init__(self, path, *, queue=None, trusted=False):
        self.drop, self.aside = path / "maildrop", path / "refused"
        self.drop.mkdir()
        self.aside.mkdir()
        self.queue = queue or MemoryQueue()
        self.recorder = Remembered()
        self.uids = []
        house = House(loads(CONFIG))
        door = Door(
            queue=self.queue,
            routing=Routing(house.router, house.tables),
            guard=Guard([RelayRule()]),
            hostname="mx.example.test",
            limits=Limits(size=LIMIT),
            clock=lambda: 1000.0,
            watcher=Silent(),
        )
        local = LocalHouse(door=door, hostname="mx.example.test", domain="example.test", new_id=lambda: "1")

        def caller(uid):
            self.uids.append(uid)
            return Caller("dora", uid, trusted)

        self.maildrop = Maildrop(
            str(self.drop), str(self.aside), DirectOpener(str(self.drop)), local, caller, self.recorder
        )

    def put(self, name, *recipients, content=b"Subject: x\n\nhello\n", end=END, **fields):
        said = [(key.replace("_", "-"), value) for key, value in fields.items()]
        octets = head(said + [("recipient", each) for each in recipients]) + chunk(content) + end
        (self.drop / name).write_bytes(octets)

    def sweep(self):
        return asyncio.run(self.maildrop.sweep())

    def kept(self):
        return sorted(name.partition("-")[2] for name in os.listdir(self.aside))

    def left(self):
        return sorted(os.listdir(self.drop))

    def troubles(self):
        return [event.detail for event in self.recorder.events if isinstance(event, Trouble)]

    def senders(self):
        return [str(message.envelope.reverse_path) for message in self.queue.messages.values()]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_whole_drop_is_sent_as_its_owner_and_removed(place):
    place.put("a1", "ada@example.test", "bob@far.test")
    assert place.sweep() == 1
    assert place.uids == [os.geteuid()]
    assert place.senders() == ["dora@example.test"]
    assert place.left() == place.kept() == place.troubles() == []
    assert place.sweep() == 0


def test_the_oldest_drop_goes_first(place):
    for number in range(5):
        place.put(f"n{number}", "ada@example.test", content=b"Subject: %d\n\n" % number)
        os.utime(place.drop / f"n{number}", (2000 - number, 2000 - number))
    assert place.sweep() == 5
    subjects = [message.data.partition(b"Subject: ")[2][:1] for message in place.queue.messages.values()]
    assert subjects == [b"4", b"3", b"2", b"1", b"0"]


def test_another_sender_than_the_owner_is_marked_unless_trusted(tmp_path):
    for trusted, marks in ((False, 1), (True, 0)):
        (tmp_path / str(trusted)).mkdir()
        place = Place(tmp_path / str(trusted), trusted=trusted)
        place.put("a1", "ada@example.test", sender="boss@other.test")
        assert place.sweep() == 1
        [message] = place.queue.messages.values()
        assert message.data.count(b"X-Authentication-Warning: mx.example.test: dora set sender to boss@") == marks


def _symlink(drop):
    (drop / "x").symlink_to("/etc/passwd")


def _fifo(drop):
    os.mkfifo(drop / "x")


def _hard_link(drop):
    (drop.parent / "other").write_bytes(head([("recipient", "ada@example.test")]) + chunk(b"x\n") + END)
    os.link(drop.parent / "other", drop / "x")


def _huge(drop):
    with (drop / "x").open("wb") as file:
        file.truncate(LIMIT + (4 << 20))


def _truncated(drop):
    (drop / "x").write_bytes(head([("recipient", "ada@example.test")]) + chunk(b"half a mess"))


def _socket(drop):
    here = os.getcwd()
    os.chdir(drop)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("x")
    finally:
        os.chdir(here)


def _empty(drop):
    (drop / "x").touch()


def _garbage(drop):
    (drop / "x").write_bytes(os.urandom(5000))


def _too_large_inside(drop):
    (drop / "x").write_bytes(head([("recipient", "ada@example.test")]) + chunk(b"x" * (LIMIT + 1)) + END)


@pytest.mark.parametrize(
    "make", [_symlink, _fifo, _hard_link, _huge, _truncated, _socket, _empty, _garbage], ids=lambda make: make.__name__
)
def test_what_is_no_mail_is_set_aside_with_a_word_and_nobody_gets_anything(place, make):
    make(place.drop)
    place.put("y", "ada@example.test")
    assert place.sweep() == 1
    assert len(place.queue.messages) == 1
    assert place.left() == []
    assert place.kept() == ["x"]
    assert [detail.partition(" ")[0] for detail in place.troubles()] == ["x"]


def test_names_that_no_sendmail_makes_are_not_opened(place):
    for name in ("a b", "x" * 200, "ünlich", "-\n"):
        place.put(name, "ada@example.test")
    assert place.sweep() == 0
    assert not place.queue.messages
    assert len(place.kept()) == 4


def test_what_is_refused_for_good_is_set_aside_and_its_owner_told(place):
    place.put("bad", "not an@@address")
    _too_large_inside(place.drop)
    assert place.sweep() == 0
    assert place.kept() == ["bad", "x"]
    notes = list(place.queue.messages.values())
    assert [note.envelope.reverse_path for note in notes] == [None, None]
    assert all(b"To: <dora@example.test>\r\n" in note.data for note in notes)
    assert sum(b"501 5.1.3" in note.data for note in notes) == 1
    assert sum(b"552 5.3.4" in note.data for note in notes) == 1


def test_what_is_refused_for_now_stays_for_the_next_look(tmp_path):
    place = Place(tmp_path, queue=Full())
    place.put("a1", "ada@example.test")
    assert place.sweep() == 0
    assert place.left() == ["a1"]
    assert place.kept() == []


def test_a_file_without_its_name_is_being_written_until_it_is_a_day_old(place):
    place.put(".new", "ada@example.test")
    place.put(".old", "ada@example.test")
    os.utime(place.drop / ".old", (time.time() - 2 * 86400,) * 2)
    assert place.sweep() == 0
    assert place.left() == [".new"]
    assert place.kept() == ["old"]


def test_a_name_given_to_another_file_meanwhile_is_not_removed(place):
    place.put("a1", "ada@example.test")
    remove = place.maildrop._remove

    def swapped(name, descriptor):
        place.put("later", "ada@example.test")
        os.rename(place.drop / "later", place.drop / name)
        remove(name, descriptor)

    place.maildrop._remove = swapped
    assert place.sweep() == 1
    assert place.left() == ["a1"]
    assert "can't be removed" in place.troubles()[0]


def test_a_crash_between_acceptance_and_removal_sends_twice_and_both_name_the_drop(place):
    place.put("a1", "ada@example.test")
    place.maildrop._remove = lambda name, descriptor: None
    assert place.sweep() == 1
    assert place.sweep() == 1
    assert {message.envelope.origin.session for message in place.queue.messages.values()} == {"maildrop/a1"}


def test_no_directory_is_no_trouble(place):
    place.drop.rmdir()
    assert place.sweep() == 0
    assert place.troubles() == []


def test_what_cannot_be_opened_at_this_moment_stays(place):
    place.put("a1", "ada@example.test")
    opener = place.maildrop._open

    def busy(name):
        raise OSError(errno.EMFILE, "Too many open files")

    place.maildrop._open = busy
    assert place.sweep() == 0
    place.maildrop._open = RemoteOpener()  # to which nobody is joined
    assert place.sweep() == 0
    assert place.left() == ["a1"]
    place.maildrop._open = opener
    assert place.sweep() == 1


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: role opener locks itself into the directory")
def test_role_opener_opens_what_lies_in_the_directory_and_nothing_else(tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "drop" / "good").write_bytes(b"mail")
    (tmp_path / "drop" / "link").symlink_to("../outside")
    (tmp_path / "drop" / "absolute").symlink_to(tmp_path / "outside")
    ours, theirs = Leash.pair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            os._exit(work(str(tmp_path / "drop"), theirs))
        finally:
            os._exit(99)
    theirs.close()
    mine, its = socket.socketpair()
    ours.send(Join("queue", 0, 1), its.fileno())
    its.close()
    opener = RemoteOpener()
    opener.join(mine)
    descriptor = opener("good")
    assert os.read(descriptor, 10) == b"mail"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    for name in ("link", "absolute", "none", "../outside", "/etc/passwd", ".", ""):
        with pytest.raises(OSError, match=r"\[Errno "):
            opener(name)
    mine.sendall(b"../outside\n")  # past our own check: its is the same
    assert int(mine.recv(16)) == errno.EINVAL
    ours.send(Drain(1.0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    mine.close()
    ours.close()
