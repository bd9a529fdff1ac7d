"""An application that answers whatever an IMAP server core asks, and what tests of that core have in common."""

from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.imap import events, sessions, status
from penfold.protocols.imap.grammar import Cursor
from penfold.protocols.imap.server import Server
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.verbs import VERBS

EVERYTHING = (
    *("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE", "NAMESPACE", "UIDPLUS", "UNSELECT"),
    *("MOVE", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "CONDSTORE", "QRESYNC"),
    *("ESEARCH", "SEARCHRES", "SORT", "THREAD=REFERENCES", "CONTEXT=SEARCH", "PARTIAL", "MULTIAPPEND", "CATENATE"),
    *("BINARY", "QUOTA", "QUOTASET", "ACL", "METADATA", "NOTIFY", "COMPRESS=DEFLATE", "WITHIN", "APPENDLIMIT"),
    *("UTF8=ACCEPT", "REPLACE", "MULTISEARCH", "UIDONLY", "UNAUTHENTICATE", "URLAUTH"),
)


def door(**changes: object) -> Settings:
    """Settings with everything on and small limits."""
    usual = {
        "hostname": "imap.test",
        "capabilities": EVERYTHING,
        "clear_login": True,
        "starttls": True,
        "mechanisms": ("PLAIN",),
        "tls_mechanisms": ("PLAIN", "LOGIN"),
        "max_append": 5000,
        "max_swallow": 20000,
    }
    return Settings(**(usual | changes))


class Application:
    """Answers by rule: mailbox ``no`` does not exist, user ``mallory`` may not come in, everything else succeeds."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: list[object] = []
        self.sent = b""
        self.bodies: list[bytes] = []

    def turn(self, most: int = 1_000_000) -> None:
        """Take and answer events until the core wants more octets."""
        for _ in range(most):
            event = self.server.next_event()
            if event is NEED_DATA or event is PAUSED:
                break
            self._note(event)
            self._answer(event)
        self.sent += self.server.data_to_send()

    def say(self, octets: bytes) -> bytes:
        """Play octets; returns what the server says to them."""
        before = len(self.sent)
        self.server.receive_data(octets)
        self.turn()
        return self.sent[before:]

    def requests(self) -> list[object]:
        """The requests of the commands seen."""
        return [event.request for event in self.seen if isinstance(event, events.Command)]

    def _note(self, event: object) -> None:
        """Keep the event; neighbouring chunks are one, for how they are cut is not what is compared."""
        last = self.seen[-1] if self.seen else None
        if isinstance(event, events.Chunk) and isinstance(last, events.Chunk):
            self.seen[-1] = events.Chunk(last.data + event.data)
        else:
            self.seen.append(event)

    def _answer(self, event: object) -> None:
        server = self.server
        if isinstance(event, events.Command):
            self._answer_command(event)
        elif isinstance(event, events.AppendBegin):
            if event.mailbox == "no":
                server.answer(status.no("No such mailbox", b"TRYCREATE"))
            else:
                server.go_ahead()
        elif isinstance(event, events.AppendUrl):
            server.go_ahead() if "bad" not in event.url else server.answer(status.no("Bad URL", b"BADURL"))
        elif isinstance(event, events.AuthResponse) and event.data is not None:
            server.authenticated("alice") if event.data == b"\0alice\0secret" else server.answer(status.AUTH_FAILED)
        elif isinstance(event, events.AppendEnd) or event == events.IdleDone():
            server.answer()

    def _answer_command(self, event: events.Command) -> None:
        server, request = self.server, event.request
        if isinstance(request, sessions.Login):
            server.answer(status.AUTH_FAILED) if request.user == b"mallory" else server.authenticated("alice")
        elif isinstance(request, sessions.Authenticate):
            if request.initial is None:
                server.challenge(b"")
            elif request.initial == b"\0alice\0secret":
                server.authenticated("alice")
            else:
                server.answer(status.AUTH_FAILED)
        elif isinstance(request, sessions.Idle):
            server.go_ahead()
            server.write(b"* 5 EXISTS\r\n")
        else:
            server.answer(status.no("No such mailbox") if getattr(request, "mailbox", "") == "no" else None)


def begin(*, log_in: bool = True, **changes: object) -> Application:
    """Greet, and log in unless told otherwise."""
    server = Server(door(**changes), clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    application.turn()
    if log_in:
        application.say(b"l LOGIN alice secret\r\n")
        application.seen.clear()
    return application


def read(verb: str, text: str | bytes, *, utf8: bool = False) -> object:
    """Read the arguments of a command as the core does; raises Refusal."""
    octets = text.encode() if isinstance(text, str) else text
    cursor = Cursor(octets, utf8=utf8)
    parse = VERBS[verb.encode()].parse
    assert parse is not None
    request = parse(cursor)
    cursor.end()
    return request
