"""The kinds of event: every decision taken on the way of a message, as a value.

An event is recorded where the decision is taken, costs a few microseconds, and is kept in the event log that
``penfold why`` reads. ``at`` is POSIX seconds UTC; ``session`` names the conversation, ``id`` the message in the queue,
``number`` the recipient in its record. Replies are text as in a log (``550 5.1.1 No such user``), addresses text in
canonical form, ``""`` for the null reverse-path.

A kind is never taken out and a field never changes its meaning, so that old files stay readable; new fields have
defaults.

Trust: holds what strangers said (HELO names, addresses, replies); whoever shows it escapes it (``telemetry.escape``).
"""

from typing import Protocol

import msgspec

from penfold.routing.base import Step


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", gc=False):
    """What all events have in common."""

    at: float
    session: str = ""
    id: str = ""


class SessionOpened(Event, frozen=True, kw_only=True, tag="session-opened"):
    """A client connected. ``role`` is the listener's (smtp, submission, submissions, lmtp, local)."""

    role: str
    client: str
    port: int = 0
    local: str = ""
    proxy: str = ""


class SessionClosed(Event, frozen=True, kw_only=True, tag="session-closed"):
    """A conversation ended. ``reason`` is ``quit``, ``lost``, ``timeout``, ``errors``, ``shutdown`` …"""

    reason: str
    client: str = ""
    helo: str = ""
    user: str = ""
    tls: str = ""
    messages: int = 0
    refused: int = 0
    octets: int = 0
    seconds: float = 0.0


class Pop3Closed(Event, frozen=True, kw_only=True, tag="pop3-closed"):
    """A POP3 conversation ended: of ``held`` messages so many were sent whole, ``octets`` in all, and removed.

    ``tops`` beginnings were sent, ``transmitted`` messages taken in (XTND XMIT). ``reason`` as for SessionClosed.
    """

    reason: str
    client: str = ""
    user: str = ""
    tls: str = ""
    held: int = 0
    retrieved: int = 0
    tops: int = 0
    octets: int = 0
    transmitted: int = 0
    removed: int = 0
    left: int = 0
    refused: int = 0
    seconds: float = 0.0


class LoggedIn(Event, frozen=True, kw_only=True, tag="logged-in"):
    """A client proved who it is."""

    user: str
    mechanism: str
    client: str = ""


class LoginRefused(Event, frozen=True, kw_only=True, tag="login-refused"):
    """A client failed to log in, or had to wait."""

    mechanism: str
    reply: str
    user: str = ""
    client: str = ""


class CommandRefused(Event, frozen=True, kw_only=True, tag="command-refused"):
    """A command got a negative reply. ``line`` is what the client sent, cut."""

    command: str
    reply: str
    line: str = ""
    client: str = ""


class RecipientRefused(Event, frozen=True, kw_only=True, tag="recipient-refused"):
    """A recipient got a negative reply at the door; ``steps`` are the routing rules that led there."""

    recipient: str
    reply: str
    reverse_path: str = ""
    client: str = ""
    steps: tuple[Step, ...] = ()


class RelayDenied(Event, frozen=True, kw_only=True, tag="relay-denied"):
    """A stranger wanted to send to a domain that is not ours."""

    recipient: str
    reply: str
    reverse_path: str = ""
    client: str = ""


class Policy(Event, frozen=True, kw_only=True, tag="policy"):
    """A rule of the guard decided something. ``verdict`` is ``accept``, ``refuse``, ``defer``, ``tag`` or ``score``."""

    stage: str
    rule: str
    verdict: str
    detail: str = ""
    reply: str = ""
    client: str = ""


class MessageRefused(Event, frozen=True, kw_only=True, tag="message-refused"):
    """A message was refused after its content was seen, or could not be made durable."""

    reply: str
    reverse_path: str = ""
    recipients: tuple[str, ...] = ()
    size: int = 0
    message_id: str = ""
    client: str = ""


class Accepted(Event, frozen=True, kw_only=True, tag="accepted"):
    """The queue took custody. ``count`` recipients, of which ``recipients`` names the first hundred."""

    reverse_path: str
    recipients: tuple[str, ...]
    count: int
    size: int
    message_id: str = ""
    protocol: str = ""
    client: str = ""
    helo: str = ""
    user: str = ""
    tls: str = ""


class Routed(Event, frozen=True, kw_only=True, tag="routed"):
    """Routing decided which way a recipient goes; ``steps`` are the rules that fired."""

    number: int
    recipient: str
    mailer: str
    host: str = ""
    user: str = ""
    steps: tuple[Step, ...] = ()


class Expanded(Event, frozen=True, kw_only=True, tag="expanded"):
    """A recipient was replaced by others (alias, ``.forward``, virtual user); ``via`` says by what."""

    number: int
    recipient: str
    recipients: tuple[str, ...]
    via: str = ""
    steps: tuple[Step, ...] = ()


class Attempt(Event, frozen=True, kw_only=True, tag="attempt"):
    """One delivery attempt ended. ``outcome`` is ``delivered``, ``deferred``, ``failed`` or ``expanded``."""

    number: int
    mailer: str
    outcome: str
    recipient: str = ""
    host: str = ""
    remote: str = ""
    reply: str = ""
    tls: str = ""
    attempt: int = 1
    seconds: float = 0.0


class Delivered(Event, frozen=True, kw_only=True, tag="delivered"):
    """Our work for a recipient is done: in a mailbox (``final``), or taken over by the next hop."""

    number: int
    recipient: str
    mailer: str = ""
    place: str = ""
    reply: str = ""
    final: bool = False


class Deferred(Event, frozen=True, kw_only=True, tag="deferred"):
    """A recipient waits. ``due`` is when it is tried again (POSIX seconds)."""

    number: int
    recipient: str
    reply: str
    due: float
    attempts: int = 1
    remote: str = ""


class Warned(Event, frozen=True, kw_only=True, tag="warned"):
    """The sender was told that delivery is late, by message ``dsn``."""

    number: int
    recipient: str
    dsn: str = ""


class Bounced(Event, frozen=True, kw_only=True, tag="bounced"):
    """Delivery failed for good. ``dsn`` is the queue id of the bounce; ``silent`` says why there is none."""

    number: int
    recipient: str
    reply: str
    dsn: str = ""
    silent: str = ""
    remote: str = ""


class HostDown(Event, frozen=True, kw_only=True, tag="host-down"):
    """A destination did not answer and is left alone until ``until``; ``waiting`` recipients are put off with it."""

    lane: str
    reply: str
    until: float
    waiting: int = 0


class Finished(Event, frozen=True, kw_only=True, tag="finished"):
    """Every recipient is settled; the message left the queue."""


class Operator(Event, frozen=True, kw_only=True, tag="operator"):
    """Somebody gave an order: ``hold``, ``release``, ``flush``, ``delete``, ``route``, ``edit``. ``by`` is who."""

    action: str
    by: str = ""
    detail: str = ""


class Reloaded(Event, frozen=True, kw_only=True, tag="reloaded"):
    """The configuration was read again; when ``ok`` is false the old one is kept and ``detail`` says why."""

    ok: bool
    detail: str = ""


class RoleStarted(Event, frozen=True, kw_only=True, tag="role-started"):
    """A process of Penfold began its work."""

    role: str
    pid: int
    generation: int = 0


class RoleEnded(Event, frozen=True, kw_only=True, tag="role-ended"):
    """A process of Penfold ended; ``expected`` tells whether it was asked to."""

    role: str
    pid: int
    reason: str = ""
    expected: bool = True


class Trouble(Event, frozen=True, kw_only=True, tag="trouble"):
    """Something an operator should see: a damaged file, a full disk, a bug of ours."""

    where: str
    detail: str


AnyEvent = (
    SessionOpened
    | SessionClosed
    | Pop3Closed
    | LoggedIn
    | LoginRefused
    | CommandRefused
    | RecipientRefused
    | RelayDenied
    | Policy
    | MessageRefused
    | Accepted
    | Routed
    | Expanded
    | Attempt
    | Delivered
    | Deferred
    | Warned
    | Bounced
    | HostDown
    | Finished
    | Operator
    | Reloaded
    | RoleStarted
    | RoleEnded
    | Trouble
)


class Recorder(Protocol):
    """Takes events: the event log of a process, a list in tests, or the batch that travels to another role."""

    def record(self, event: AnyEvent) -> None:
        """Take one event. Never raises and never waits."""

    def flush(self) -> None:
        """Hand on what was taken so far: once per batch of work, not per event."""


class Unrecorded:
    """A Recorder that forgets everything."""

    def record(self, event: AnyEvent) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Do nothing."""


class Remembered:
    """A Recorder that keeps its events in a list, for tests and short walks."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def record(self, event: AnyEvent) -> None:
        """Keep it."""
        self.events.append(event)

    def flush(self) -> None:
        """Do nothing."""
