"""Answers ``penfold why``: the story of a message, or of what happened to an address, as sentences and as values.

A question is a queue id, a Message-ID, an address, or a client's IP address. The newest messages that it fits are found
first; then all their events are gathered with those of the sessions that brought them, and told in the order of time.

Trust: the question is anybody's who may run the command; it is searched as octets, never as a pattern.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from penfold.telemetry import events
from penfold.telemetry.escape import visible
from penfold.telemetry.events import AnyEvent
from penfold.telemetry.history import Budget, search
from penfold.telemetry.log import stamp
from penfold.telemetry.sentences import render_steps, tell

_QUEUE_ID = re.compile(r"[A-Z][0-9A-HJKMNP-TV-Z]{8,20}\Z")
_OF_SESSION = (
    events.SessionOpened,
    events.LoggedIn,
    events.LoginRefused,
    events.CommandRefused,
    events.RecipientRefused,
    events.RelayDenied,
    events.Policy,
)
_REFUSALS = (
    events.LoginRefused,
    events.CommandRefused,
    events.RecipientRefused,
    events.RelayDenied,
    events.Policy,
    events.MessageRefused,
)
_SETTLED = (events.Delivered, events.Bounced, events.Expanded)
_EARLIER = 2 * 86400.0  # seconds a session may have begun before its message was accepted

Kind = Literal["queue-id", "message-id", "address", "client"]


class Line(msgspec.Struct, frozen=True):
    """One sentence of a story; ``details`` are the rules that led there."""

    at: float
    text: str
    details: tuple[str, ...] = ()


class Story(msgspec.Struct, frozen=True):
    """All that happened to one message. ``state`` is ``done``, ``waiting`` or ``unknown`` (its beginning is gone)."""

    id: str
    message_id: str
    state: str
    lines: tuple[Line, ...]
    events: tuple[AnyEvent, ...]


class Explanation(msgspec.Struct, frozen=True):
    """The answer: stories newest first, what was refused at the door, and whether the search had to stop early."""

    question: str
    kind: Kind
    stories: tuple[Story, ...]
    refused: tuple[Line, ...] = ()
    incomplete: bool = False
    damaged: int = 0


def kind_of(question: str) -> Kind:
    """Tell what a question names."""
    if _QUEUE_ID.match(question):
        return "queue-id"
    if question.startswith("<"):
        return "message-id"
    try:
        ipaddress.ip_address(question)
    except ValueError:
        return "address"
    return "client"


def explain(directory: str, question: str, *, most: int = 10, budget: Budget | None = None) -> Explanation:
    """Tell what the event log in ``directory`` knows of a queue id, a Message-ID, an address or a client."""
    budget = budget or Budget()
    question = question.strip()
    kind = kind_of(question)
    found = list(_found(directory, question, kind, most, budget))
    ids = _newest_ids(found, most)
    if kind == "address" and not found and "@" in question:
        kind, found = "message-id", list(_found(directory, f"<{question}>", "message-id", most, budget))
        ids = _newest_ids(found, most)
    gathered = _gathered(directory, ids, found, budget) if ids else {}
    stories = tuple(story(id_, gathered[id_]) for id_ in ids if gathered.get(id_))
    loose = [event for event in found if not event.id and isinstance(event, _REFUSALS)]
    refused = tuple(_line(event) for event in sorted(loose, key=lambda event: event.at, reverse=True)[: most * 5])
    return Explanation(question, kind, stories, refused, budget.spent, budget.damaged)


def story(id_: str, of_message: Iterable[AnyEvent]) -> Story:
    """Tell the story of one message from its events."""
    ordered = tuple(sorted(of_message, key=lambda event: event.at))
    accepted = next((event for event in ordered if isinstance(event, events.Accepted) and event.id == id_), None)
    over = _over(id_, ordered, accepted)
    state = "done" if over else "waiting" if accepted else "unknown"
    lines = tuple(_line(event) for event in ordered)
    return Story(id_, accepted.message_id if accepted else "", state, lines, ordered)


def _over(id_: str, ordered: Iterable[AnyEvent], accepted: events.Accepted | None) -> bool:
    """Whether every recipient is settled: the queue said so, or each number met was delivered, bounced or replaced."""
    met, settled = set(), set()
    for event in ordered:
        if event.id != id_:
            continue
        if isinstance(event, events.Finished):
            return True
        if isinstance(event, _SETTLED):
            settled.add(event.number)
        elif isinstance(event, events.Routed | events.Attempt | events.Deferred):
            met.add(event.number)
    count = accepted.count if accepted else 0  # what a damaged line says may be any number
    return bool(settled) and met <= settled and sum(0 <= number < count for number in settled) == max(count, 0)


def render(explanation: Explanation) -> str:
    """Write an explanation for people."""
    parts = [_render_story(each) for each in explanation.stories]
    if explanation.refused:
        parts.append(
            "Refused at the door, newest first:\n" + "\n".join(_render_line(line) for line in explanation.refused)
        )
    if not parts:
        parts.append(f"Nothing is known of {visible(explanation.question)}. The event log may have been cut since.")
    if explanation.incomplete:
        parts.append("The search stopped early; there may be more.")
    return "\n\n".join(parts) + "\n"


def _render_story(each: Story) -> str:
    name = f" {visible(each.message_id)}" if each.message_id else ""
    return f"Message {visible(each.id)}{name}: {each.state}\n" + "\n".join(_render_line(line) for line in each.lines)


def _render_line(line: Line) -> str:
    return "\n".join([f"  {stamp(line.at)}  {line.text}", *(f"      - {detail}" for detail in line.details)])


def _line(event: AnyEvent) -> Line:
    steps = event.steps if isinstance(event, events.Routed | events.Expanded) else ()
    return Line(event.at, tell(event), tuple(render_steps(steps)))


def _found(directory: str, question: str, kind: Kind, most: int, budget: Budget) -> Iterable[AnyEvent]:
    """Find events that name what is asked for, until they belong to more messages than wanted."""
    ids: set[str] = set()
    for event in search(directory, _pattern(question, kind), budget):
        yield event
        ids.add(event.id)
        if len(ids) > most * 20 or (kind in {"queue-id", "message-id"} and isinstance(event, events.Accepted)):
            return


def _pattern(question: str, kind: Kind) -> re.Pattern[bytes]:
    text = re.escape(msgspec.json.encode(question))
    if kind == "queue-id":
        return re.compile(b'"(?:id|dsn)":' + text)
    if kind == "message-id":
        return re.compile(b'"message_id":' + text)
    return re.compile(b'"client":' + text) if kind == "client" else re.compile(text, re.IGNORECASE)


def _newest_ids(found: Iterable[AnyEvent], most: int) -> list[str]:
    latest: dict[str, float] = {}
    for event in found:
        if event.id:
            latest[event.id] = max(event.at, latest.get(event.id, 0.0))
    return sorted(latest, key=lambda id_: latest[id_], reverse=True)[:most]


def _gathered(directory: str, ids: list[str], found: list[AnyEvent], budget: Budget) -> dict[str, list[AnyEvent]]:
    """Collect the events of each message, and of the session that brought it."""
    named = {event.id: event for event in found if isinstance(event, events.Accepted)}
    since = min((named[id_].at for id_ in ids if id_ in named), default=0.0) - _EARLIER
    if len(named.keys() & set(ids)) < len(ids):
        since = 0.0
    by_id: dict[str, list[AnyEvent]] = {id_: [] for id_ in ids}
    for event in search(directory, _any_of(b"id", ids), budget, since=since):
        if event.id in by_id:
            by_id[event.id].append(event)
    _add_sessions(directory, by_id, budget, since)
    return by_id


def _add_sessions(directory: str, by_id: dict[str, list[AnyEvent]], budget: Budget, since: float) -> None:
    brought: dict[str, list[events.Accepted]] = {}
    for event in [event for gathered in by_id.values() for event in gathered]:
        if isinstance(event, events.Accepted) and event.session:
            brought.setdefault(event.session, []).append(event)
    if not brought:
        return
    for event in search(directory, _any_of(b"session", brought), budget, since=since):
        for accepted in brought.get(event.session, ()):
            if isinstance(event, _OF_SESSION) and not event.id and event.at <= accepted.at:
                by_id[accepted.id].append(event)


def _any_of(key: bytes, values: Iterable[str]) -> re.Pattern[bytes]:
    texts = b"|".join(re.escape(msgspec.json.encode(text)) for text in values)
    return re.compile(b'"' + key + b'":(?:' + texts + b")")
