"""Says what an event means, in a plain sentence: one text for ``penfold why``, the demo, the API and the pages.

Trust: events hold what strangers said; every such word passes ``escape.visible``.
"""

from collections.abc import Iterable
from functools import singledispatch

from penfold.routing.base import Step
from penfold.telemetry import events
from penfold.telemetry.escape import visible


def render_steps(steps: Iterable[Step]) -> list[str]:
    """Say which routing rules fired, one sentence each."""
    return [_step(step) for step in steps]


def _step(step: Step) -> str:
    source = f" ({visible(step.source)})" if step.source else ""
    return f"{visible(step.rule)}: {visible(step.detail)}{source}"


def _path(address: str) -> str:
    return f"<{visible(address)}>"


def _client(address: str) -> str:
    return visible(address) if address else "an unknown client"


def _with(word: str, text: str) -> str:
    return f"{word}{visible(text)}" if text else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _addresses(addresses: tuple[str, ...], count: int = 0) -> str:
    shown = ", ".join(_path(address) for address in addresses[:5])
    more = max(count, len(addresses)) - min(len(addresses), 5)
    return f"{shown} and {more} more" if more > 0 else shown or "nobody"


@singledispatch
def tell(event: object) -> str:
    """Say what happened, without the time."""
    return f"something of the kind {visible(type(event).__name__)} happened"


@tell.register
def _(event: events.SessionOpened) -> str:
    proxy = _with(", through the proxy ", event.proxy)
    if event.role == "local" and not event.client:
        return "a program of this machine connected"
    return f"{_client(event.client)} connected ({visible(event.role)}{proxy})"


@tell.register
def _(event: events.SessionClosed) -> str:
    refused = f", {_count(event.refused, 'command')} refused" if event.refused else ""
    done = f"{_count(event.messages, 'message')} in {event.seconds:.1f} s{refused}"
    return f"the session with {_client(event.client)} ended ({visible(event.reason)}): {done}"


@tell.register
def _(event: events.Pop3Closed) -> str:
    who = visible(event.user) if event.user else _client(event.client)
    done = f"{event.retrieved} of {_count(event.held, 'message')} sent, {event.removed} removed"
    return f"the POP3 session of {who} ended ({visible(event.reason)}): {done} in {event.seconds:.1f} s"


@tell.register
def _(event: events.LoggedIn) -> str:
    return f"{visible(event.user)} logged in ({visible(event.mechanism)})"


@tell.register
def _(event: events.LoginRefused) -> str:
    who = visible(event.user) if event.user else "somebody"
    return f"{who} was not let in ({visible(event.mechanism)}): {visible(event.reply)}"


@tell.register
def _(event: events.CommandRefused) -> str:
    line = _with(": ", event.line)
    return f"the command {visible(event.command)} was refused with {visible(event.reply)}{line}"


@tell.register
def _(event: events.RecipientRefused) -> str:
    why = f" [{'; '.join(render_steps(event.steps))}]" if event.steps else ""
    sender = _path(event.reverse_path)
    return f"mail from {sender} for {_path(event.recipient)} was refused at the door: {visible(event.reply)}{why}"


@tell.register
def _(event: events.RelayDenied) -> str:
    who = _client(event.client)
    return f"{who} may not send to {_path(event.recipient)} through this host: {visible(event.reply)}"


@tell.register
def _(event: events.Policy) -> str:
    detail = _with(": ", event.detail) + _with(" → ", event.reply)
    return f"the rule {visible(event.rule)} said {visible(event.verdict)} at {visible(event.stage)}{detail}"


@tell.register
def _(event: events.MessageRefused) -> str:
    whom = _addresses(event.recipients)
    return f"a message from {_path(event.reverse_path)} for {whom} was refused: {visible(event.reply)}"


@tell.register
def _(event: events.Accepted) -> str:
    whom = _addresses(event.recipients, event.count)
    how = _with(" by ", event.protocol) + _with(" from ", event.client) + _with(" calling itself ", event.helo)
    safe = _with(", logged in as ", event.user) + _with(", ", event.tls)
    return f"accepted{how}{safe}: {event.size} octets from {_path(event.reverse_path)} for {whom}"


@tell.register
def _(event: events.Routed) -> str:
    way = visible(event.mailer) + _with(" to ", event.host) + _with(", ", event.user)
    return f"{_path(event.recipient)} goes by {way}"


@tell.register
def _(event: events.Expanded) -> str:
    via = _with(" through ", event.via)
    return f"{_path(event.recipient)} became {_addresses(event.recipients)}{via}"


@tell.register
def _(event: events.Attempt) -> str:
    where = visible(event.mailer) + _with(" at ", event.remote or event.host) + _with(", ", event.tls)
    said = _with(": ", event.reply)
    return f"attempt {event.attempt} for {_path(event.recipient)} by {where}: {visible(event.outcome)}{said}"


@tell.register
def _(event: events.Delivered) -> str:
    place = _with(" into " if event.final else " to ", event.place)
    return f"{_path(event.recipient)} is {'delivered' if event.final else 'handed on'}{place}{_with(': ', event.reply)}"


@tell.register
def _(event: events.Deferred) -> str:
    again = f"next attempt in {_span(event.due - event.at)}"
    return f"{_path(event.recipient)} has to wait, {again}: {visible(event.reply)}"


@tell.register
def _(event: events.Warned) -> str:
    return f"the sender was told that {_path(event.recipient)} is late{_with(', by message ', event.dsn)}"


@tell.register
def _(event: events.Bounced) -> str:
    told = _with("; the sender was told by message ", event.dsn) + _with("; the sender was not told: ", event.silent)
    return f"{_path(event.recipient)} failed for good: {visible(event.reply)}{told}"


@tell.register
def _(event: events.HostDown) -> str:
    again = f"it is left alone for {_span(event.until - event.at)}"
    waiting = f", {_count(event.waiting, 'recipient')} with it" if event.waiting else ""
    return f"{visible(event.lane)} does not answer, {again}{waiting}: {visible(event.reply)}"


@tell.register
def _(_event: events.Finished) -> str:
    return "nothing is left to do; the message left the queue"


@tell.register
def _(event: events.Operator) -> str:
    return f"{visible(event.by) or 'the operator'} ordered: {visible(event.action)}{_with(', ', event.detail)}"


@tell.register
def _(event: events.Reloaded) -> str:
    if event.ok:
        return f"the configuration was read again{_with(': ', event.detail)}"
    return f"the new configuration cannot be used, the old one is kept{_with(': ', event.detail)}"


@tell.register
def _(event: events.RoleStarted) -> str:
    return f"role {visible(event.role)} began its work (process {event.pid})"


@tell.register
def _(event: events.RoleEnded) -> str:
    how = "ended" if event.expected else "died"
    return f"role {visible(event.role)} {how} (process {event.pid}){_with(': ', event.reason)}"


@tell.register
def _(event: events.Trouble) -> str:
    return f"trouble in {visible(event.where)}: {visible(event.detail)}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
