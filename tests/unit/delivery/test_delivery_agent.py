"""The local delivery agent: jobs in, mailboxes filled, one settlement for every recipient."""

import os

import pytest

from penfold.delivery.agent import Agent
from penfold.delivery.forward import ForwardFiles
from penfold.delivery.mailboxes import Mailboxes
from penfold.directory.base import Account
from penfold.fs.locks import LockPolicy
from penfold.fs.posix import PosixFileSystem
from penfold.model import (
    Address,
    BodyRef,
    Deferred,
    Delivered,
    Envelope,
    Expanded,
    Failed,
    Job,
    Origin,
    QueueId,
    Recipient,
    Route,
    Target,
)

SENDER = Address("s", "example.org")
MESSAGE = b"From: a@b.example\r\nSubject: hi\r\n\r\nHello\r\n"


class Body:
    def __init__(self, octets):
        self.octets, self.size = octets, len(octets)

    def chunks(self, size=65536):
        for start in range(0, self.size, size):
            yield self.octets[start : start + size]

    def read(self):
        return self.octets


class Bodies(dict):
    def open(self, ref):
        if ref.file not in self:
            raise FileNotFoundError(ref.file)
        return Body(self[ref.file])


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


class House:
    def __init__(self, root, forward=False):
        self.root = root
        self.bodies = Bodies(m=MESSAGE)
        self.accounts = {
            name: Account(id=f"{name}@example.test", format=form, path=str(root / name), forward=forward, quota=quota)
            for name, form, quota in (("ada", "maildir", 0), ("bob", "mbox", 0), ("cy", "mh", 0), ("dan", "mmdf", 0),
                                      ("eve", "maildir", 150), ("fay", "pigeon", 0))
        }  # fmt: skip
        fs = PosixFileSystem()
        self.agent = Agent(
            bodies=self.bodies,
            mailboxes=Mailboxes(fs, hostname="mx.example.test", locks=LockPolicy()),
            account=lambda key: self.accounts.get(key.partition("@")[0]),
            forward=ForwardFiles(fs, uid=os.geteuid()),
        )

    def deliver(self, *names, id_="A1", body="m", arrived=100.0, sender=SENDER, **more):
        envelope = Envelope(sender, arrived, len(MESSAGE), Origin("ESMTP"))
        targets = tuple(
            Target(number, Recipient(Address(name, "example.test"), **more.get("recipient", {})),
                   Route("local", "", f"{name}@example.test"))
            for number, name in enumerate(names)
        )  # fmt: skip
        job = Job(QueueId(id_), envelope, BodyRef(body, 0, len(MESSAGE)), targets)
        settled = self.agent.deliver([job], doubtful_before=more.get("doubtful_before", 0.0))
        assert sorted(settlement.number for settlement in settled) == list(range(len(names)))
        return [settlement.outcome for settlement in sorted(settled, key=lambda each: each.number)]

    def new(self, name):
        return sorted((self.root / name / "new").iterdir())


def test_one_message_goes_into_mailboxes_of_every_format(house):
    outcomes = house.deliver("ada", "bob", "cy", "dan")
    assert all(isinstance(outcome, Delivered) and outcome.final for outcome in outcomes)
    (stored,) = house.new("ada")
    assert stored.read_bytes() == (
        b"Return-Path: <s@example.org>\nDelivered-To: ada@example.test\n" + MESSAGE.replace(b"\r\n", b"\n")
    )
    for name, part in (("bob", "bob"), ("cy", "cy/1"), ("dan", "dan")):
        assert f"Delivered-To: {name}@example.test\n".encode() in (house.root / part).read_bytes()


def test_the_null_reverse_path_is_written_as_such(house):
    """RFC 5321 §4.4."""
    house.deliver("ada", sender=None)
    assert house.new("ada")[0].read_bytes().startswith(b"Return-Path: <>\n")


def test_the_owner_of_a_list_replaces_the_reverse_path(house):
    house.deliver("ada", recipient={"owner": Address("owner-list", "example.test")})
    assert house.new("ada")[0].read_bytes().startswith(b"Return-Path: <owner-list@example.test>\n")


def test_an_account_that_is_gone_fails_and_the_others_do_not(house):
    gone, there = house.deliver("zoe", "ada")
    assert isinstance(gone, Failed)
    assert gone.reply.status == "5.1.1"
    assert isinstance(there, Delivered)


def test_a_message_that_was_delivered_here_before_is_a_loop(house):
    """RFC 9228 §4."""
    house.bodies["loop"] = b"Delivered-To: ada@example.test\r\n" + MESSAGE
    loop, fine = house.deliver("ada", "bob", body="loop")
    assert (type(loop), loop.reply.status) == (Failed, "5.4.6")
    assert isinstance(fine, Delivered)


def test_a_body_that_is_gone_defers_all_its_recipients(house):
    assert [type(outcome) for outcome in house.deliver("ada", "bob", body="none")] == [Deferred, Deferred]


def test_a_mailbox_over_its_quota_defers_with_its_status(house):
    first, second = house.deliver("eve")[0], house.deliver("eve", id_="A2")[0]
    assert isinstance(first, Delivered)
    assert (type(second), second.reply.status) == (Deferred, "4.2.2")


def test_a_format_nobody_knows_defers(house):
    assert house.deliver("fay")[0].reply.status == "4.3.5"


def test_a_mailbox_that_cannot_be_written_defers_and_says_so(house):
    (house.root / "bob").mkdir()
    blocked, fine = house.deliver("bob", "ada")
    assert isinstance(blocked, Deferred)
    assert isinstance(fine, Delivered)


def test_mail_in_doubt_after_a_crash_is_not_stored_twice(house):
    house.deliver("ada", "bob", id_="A7")
    again = house.deliver("ada", "bob", id_="A7", doubtful_before=200.0)
    assert all(isinstance(outcome, Delivered) for outcome in again)
    assert len(house.new("ada")) == 1
    assert (house.root / "bob").read_bytes().count(b"Subject: hi") == 2  # an mbox cannot be searched: counted, not lost


def test_mail_in_doubt_is_found_also_where_its_reader_has_moved_it(house):
    house.deliver("ada", id_="A7")
    (stored,) = house.new("ada")
    stored.rename(house.root / "ada" / "cur" / f"{stored.name}:2,S")
    house.deliver("ada", id_="A7", doubtful_before=200.0)
    assert house.new("ada") == []


def test_mail_in_doubt_that_was_never_stored_is_stored(house):
    house.deliver("ada", id_="A7")
    house.deliver("ada", id_="A8", doubtful_before=200.0)
    assert len(house.new("ada")) == 2


class TestForwardOfVirtualUsers:
    @pytest.fixture
    def house(self, tmp_path):
        return House(tmp_path, forward=True)

    def put(self, house, text, mode=0o600):
        path = house.root / "ada.forward"
        path.write_text(text)
        path.chmod(mode)

    def test_its_addresses_replace_the_recipient(self, house):
        self.put(house, "ann@other.test, bob\n")
        (outcome,) = house.deliver("ada")
        assert isinstance(outcome, Expanded)
        assert [str(each.address) for each in outcome.recipients] == ["ann@other.test", "bob@example.test"]
        assert outcome.recipients[0].original == Address("ada", "example.test")

    def test_naming_oneself_keeps_a_copy_and_ends_there(self, house):
        self.put(house, "ada, ann@other.test\n")
        (outcome,) = house.deliver("ada")
        own = next(each for each in outcome.recipients if each.address.local == "ada")
        (kept,) = house.deliver("ada", recipient={"parents": own.parents})
        assert isinstance(kept, Delivered)

    @pytest.mark.parametrize("text", ['"|/bin/true"\n', "/tmp/file\n", ":include:/etc/passwd\n", "what is this <\n"])
    def test_programs_files_lists_and_nonsense_defer_the_mail(self, house, text):
        self.put(house, text)
        (outcome,) = house.deliver("ada")
        assert isinstance(outcome, Deferred)
        assert outcome.reply.status == "4.3.5"

    def test_a_file_others_may_write_is_not_obeyed(self, house):
        self.put(house, "ann@other.test\n", mode=0o666)
        assert house.deliver("ada")[0].reply.status == "4.7.0"

    def test_a_link_to_another_file_is_not_followed(self, house):
        (house.root / "real").write_text("ann@other.test\n")
        (house.root / "ada.forward").symlink_to(house.root / "real")
        assert house.deliver("ada")[0].reply.status == "4.7.0"

    def test_a_file_with_a_second_name_is_not_obeyed(self, house):
        self.put(house, "ann@other.test\n")
        os.link(house.root / "ada.forward", house.root / "other-name")
        assert house.deliver("ada")[0].reply.status == "4.7.0"
