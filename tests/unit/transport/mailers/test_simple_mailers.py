"""The mailers that carry nothing anywhere: error, discard, file."""

import os
import stat

import pytest
from tests.unit.transport.mailers.mail_in_hand import BOB, TEXT, Shelf, deliver, job

from penfold.formats.base import Stored
from penfold.fs.locks import LockPolicy
from penfold.fs.posix import PosixFileSystem
from penfold.model import Address, Deferred, Delivered, Failed, Permanent, Recipient, Reply, Route, Transient
from penfold.transport.mailers.discard import DiscardMailer
from penfold.transport.mailers.error import ErrorMailer
from penfold.transport.mailers.file import AppendHere, FileMailer


@pytest.mark.parametrize(
    ("host", "user", "kind", "reply"),
    [
        ("5.1.1", "550 No such user", Failed, "550 5.1.1 No such user"),
        ("4.7.1", "Come back later", Deferred, "450 4.7.1 Come back later"),
        ("", "nouser Nobody here", Failed, "550 5.1.1 Nobody here"),
    ],
)
def test_error_refuses_with_the_words_of_its_route(host, user, kind, reply):
    (settlement,) = deliver(ErrorMailer(), job(Route("error", host, user)))
    assert isinstance(settlement.outcome, kind)
    assert str(settlement.outcome.reply) == reply


def test_discard_delivers_to_nowhere():
    (settlement,) = deliver(DiscardMailer(), job(Route("discard", "", "x")))
    assert isinstance(settlement.outcome, Delivered)
    assert settlement.outcome.final


def test_jobs_for_one_file_are_appended_in_one_go():
    calls = []

    async def append(user, path, messages):
        calls.append((user, path, messages))
        return [Stored(""), Permanent(Reply.of(552, "5.2.2", "Full")), OSError(28, "No space left")]

    mailer = FileMailer(Shelf(), append)
    route = Route("file", "bob", "/home/bob/log")
    recipient = Recipient(Address("/home/bob/log", "/"), parents=(BOB,))
    settlements = deliver(mailer, *(job(route, recipient, id_=f"Q{n}") for n in range(3)))
    assert [type(settlement.outcome) for settlement in settlements] == [Delivered, Failed, Deferred]
    ((user, path, messages),) = calls
    assert (user, path) == ("bob", "/home/bob/log")
    assert [message.unique for message in messages] == ["Q0R7", "Q1R7", "Q2R7"]
    assert messages[0].prefix == b"Return-Path: <ann@there.example>\r\nDelivered-To: bob+lists@here.example\r\n"


def test_a_writer_that_cannot_try_defers_them_all():
    async def append(user, path, messages):
        raise Transient(Reply.of(451, "4.3.5", "no"))

    route = Route("file", "bob", "/x")
    settlements = deliver(FileMailer(Shelf(), append), job(route), job(route, id_="Q2"))
    assert [type(settlement.outcome) for settlement in settlements] == [Deferred, Deferred]


def test_a_message_in_a_circle_is_not_appended():
    async def append(user, path, messages):
        raise AssertionError

    body = b"Delivered-To: bob+lists@here.example\r\n" + TEXT
    (settlement,) = deliver(FileMailer(Shelf(body), append), job(Route("file", "", "/x")))
    assert settlement.outcome.reply.status == "5.4.6"


def test_files_and_maildirs_are_written_for_users_of_ours_alone(tmp_path):
    append = AppendHere(PosixFileSystem(), frozenset({""}), host="here.example", locks=LockPolicy(wait=1))
    mailer = FileMailer(Shelf(), append)
    file, folder = str(tmp_path / "log"), str(tmp_path / "box") + "/"
    jobs = [job(Route("file", "", file)), job(Route("file", "", file), id_="Q2")]
    assert all(isinstance(settlement.outcome, Delivered) for settlement in deliver(mailer, *jobs))
    text = (tmp_path / "log").read_bytes()
    assert text.count(b"\n>From me\n") == 2
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    (settlement,) = deliver(mailer, job(Route("file", "", folder)))
    assert isinstance(settlement.outcome, Delivered)
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1
    for route in (Route("file", "root", file), Route("file", "", "relative")):
        (settlement,) = deliver(mailer, job(route))
        assert settlement.outcome.reply.status == "4.3.5"
