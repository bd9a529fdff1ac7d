"""APPEND, MULTIAPPEND, CATENATE and REPLACE: messages from the client.

Octets are collected as they come and given to the store in one change, so all messages of a command are in, or none.

Standards: RFC 9051 §6.3.12, §6.4.6 (flags); RFC 3502; RFC 4315 §3; RFC 4469; RFC 8508; RFC 7889; RFC 4314 §4
Trust: the client's; the core limits each message, ``Service.append_octets`` all of a command together.
"""

from typing import Any, Final, Protocol

from penfold.access.imap.client import Answer, Client
from penfold.access.imap.locating import TRY_CREATE, locate
from penfold.access.imap.places import Place
from penfold.access.imap.refusals import NO_NUMBER, READ_ONLY, refused_target
from penfold.access.imap.selected import right_for
from penfold.access.imap.urls import octets_of
from penfold.protocols.imap import codes, status
from penfold.protocols.imap import events as ev
from penfold.protocols.imap.server import Server
from penfold.store import Append, Message, Refused, Replace, Stored

_TOO_MUCH: Final = status.no("The messages exceed the limit", b"TOOBIG")


class Session(Protocol):
    """A session, as its APPEND sees it."""

    client: Client
    core: Server

    def take(self, outcome: Any, then: Any) -> None:  # noqa: ANN401
        """Bring an outcome to its end and tell ``then``."""

    def finish(self, answer: Answer) -> None:
        """Answer the command, after what others changed."""


class Appending:
    """The messages of one command."""

    __slots__ = ("_begun", "_chunks", "_last", "_octets", "_place", "_ready")

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Forget all."""
        self._ready: list[Message] = []
        self._begun: ev.AppendBegin | None = None
        self._last: ev.AppendBegin | None = None
        self._chunks: list[bytes] = []
        self._octets = 0
        self._place: Place | None = None

    def begin(self, session: Session, event: ev.AppendBegin) -> None:
        """Let a message in, if the mailbox takes it."""
        if event.index:
            self._end_message()
            self._begun = event
            session.core.go_ahead()
            return
        self.drop()
        self._begun = event
        session.take(self._judge(session.client, event), lambda answer: self._judged(session, answer))

    async def _judge(self, client: Client, event: ev.AppendBegin) -> "Place | status.Status":
        place = await locate(client, event.mailbox, "i", missing=TRY_CREATE)
        if isinstance(place, Place) and event.replaces is not None:
            return _replaceable(client, event) or place
        return place

    def _judged(self, session: Session, answer: "Place | status.Status") -> None:
        if isinstance(answer, Place):
            self._place = answer
            session.core.go_ahead()
        else:
            self.drop()
            session.core.answer(answer)

    def chunk(self, session: Session, event: ev.Chunk) -> None:
        """Take octets."""
        self._add(session, event.data)

    def _add(self, session: Session, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > session.client.service.append_octets:
            self.drop()
            session.core.abandon(_TOO_MUCH)
        elif self._begun is not None:
            self._chunks.append(data)

    def url(self, session: Session, event: ev.AppendUrl) -> None:
        """Append what a URL names."""
        session.take(octets_of(session.client, event.url), lambda found: self._fetched(session, event.url, found))

    def _fetched(self, session: Session, url: str, found: bytes | None) -> None:
        if isinstance(found, bytes) and self._octets + len(found) <= session.client.service.append_octets:
            self._octets += len(found)
            self._chunks.append(found)
            session.core.go_ahead()
            return
        self.drop()
        session.core.answer(
            _TOO_MUCH if isinstance(found, bytes) else status.no("The URL names nothing", codes.bad_url(url))
        )

    def end(self, session: Session, event: ev.AppendEnd) -> None:
        """Put all into the mailbox."""
        del event
        self._end_message()
        begun, place, messages = self._last, self._place, tuple(self._ready)
        self.drop()
        if place is None or begun is None:
            session.core.answer(TRY_CREATE)
        else:
            session.take(_put(session.client, begun, place, messages), session.finish)

    def _end_message(self) -> None:
        begun, place = self._begun, self._place
        if begun is None or place is None:
            return
        flags = tuple(flag for flag in begun.flags if right_for(flag) in place.rights)
        self._ready.append(Message(b"".join(self._chunks), flags, begun.date))
        self._chunks = []
        self._last = begun
        self._begun = None


def _replaceable(client: Client, event: ev.AppendBegin) -> "status.Status | None":
    """Say why a message cannot be replaced."""
    selected = client.view()
    if selected.read_only:
        return READ_ONLY
    if not selected.allows("te"):
        return status.no("Permission denied", codes.NOPERM)
    assert event.replaces is not None
    spans = selected.spans(event.replaces, uid=event.uid, saved=client.saved)
    if spans is None:
        return NO_NUMBER
    return None if spans else status.no("No such message", codes.NONEXISTENT)


async def _put(client: Client, begun: ev.AppendBegin, place: Place, messages: tuple[Message, ...]) -> Answer:
    assert place.box is not None
    change: Append | Replace = Append(place.account, place.box.id, messages)
    if begun.replaces is not None:
        selected = client.view()
        spans = selected.spans(begun.replaces, uid=begun.uid, saved=client.saved)
        if not spans:
            return status.no("No such message", codes.NONEXISTENT)
        if place.account != selected.place.account:
            return status.no("Not into a mailbox of another user", codes.CANNOT)
        (uid,) = selected.uids(spans)
        change = Replace(place.account, selected.view.mailbox, uid, place.box.id, messages[0])
    (result,) = await client.store.apply([change])
    if isinstance(result, Refused):
        return refused_target(result)
    if not isinstance(result, Stored) or not client.service.settings.offers("UIDPLUS", "IMAP4rev2"):
        return None
    return status.ok("Stored", b"APPENDUID %d %b" % (result.uidvalidity, str(result.uids).encode()))
