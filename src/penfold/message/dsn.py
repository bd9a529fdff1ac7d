"""Delivery status notifications: what the sender of a message hears of its fate.

A notification is a multipart/report of three parts: words for a person, fields for a program, and the message or its
header. All of it is ASCII and safe to hand to any next hop, except for a returned message that had 8-bit octets
itself, and for a sender whose address is beyond ASCII.

To whom, when and whether (the null reverse-path, NOTIFY) is the caller's to decide; it also sends with the null
reverse-path.

Standards: RFC 3464 §2; RFC 3461 §4.3, §6.2, §6.3; RFC 6522 §3, §4; RFC 6533 §3, §5; RFC 3834 §5; RFC 2045 §6.7
Trust: replies, addresses and the returned header come from strangers: escaped, cut to size, never able to add a line.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from penfold.message import dsn_text, escape
from penfold.message.dsn_text import Action, status_of, words_for
from penfold.message.header import Header
from penfold.message.trace import format_date
from penfold.message.transfer import needs, quoted_printable
from penfold.model import Address, BodyType, Envelope, Recipient, Reply, Return

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>\Z")
_TYPE = re.compile(r"[A-Za-z0-9-]{1,60}\Z")
_ORDER = (Action.FAILED, Action.DELAYED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED)
MAX_REPLY_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one recipient. ``remote`` is the host that gave ``reply``, ``""`` where we gave it ourselves.

    ``attempted`` and ``retry_until`` are POSIX seconds, None where unknown.
    """

    recipient: Recipient
    action: Action
    reply: Reply
    remote: str = ""
    attempted: float | None = None
    retry_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The message reported on: its header (fields only), and how to read all of it, None where that is impossible."""

    header: bytes
    chunks: Callable[[], Iterable[bytes]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Who notifies, and how much comes back: sizes in octets; ``default_return`` where the sender did not say RET."""

    host: str
    postmaster: Address
    default_return: Return = Return.HEADERS
    max_full: int = 100_000
    max_header: int = 50_000

    def build(
        self,
        envelope: Envelope,
        reports: Sequence[Report],
        original: Original,
        *,
        date: float,
        message_id: str,
        queue_id: str = "",
        to: Address | None = None,
    ) -> "Notification":
        """Write the notification about ``reports`` (at least one). ``date`` is POSIX seconds, ``message_id`` ours.

        It is addressed to the reverse-path, or to ``to`` (the postmaster, about a message that has none).
        """
        ordered = sorted(reports, key=lambda report: _ORDER.index(report.action))
        returned = self._returned(envelope, ordered, original)
        subject = Header(original.header).first("subject")
        parts = [
            _human_part(self._human(ordered, subject, returned)),
            _part("message/delivery-status", "7bit", _status(self.host, envelope, ordered, queue_id)),
            _part(returned.type, returned.encoding, returned.octets),
        ]
        boundary = _boundary(message_id, parts)
        to = to or envelope.reverse_path or self.postmaster
        head = self._head(envelope.message_id, to, ordered[0].action, date, message_id)
        head += _multipart(boundary, returned.encoding)
        return Notification(
            octets=head + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + _close(boundary),
            body_type=BodyType.EIGHT if returned.encoding == "8bit" else BodyType.SEVEN,
            smtputf8=not to.ascii,
        )

    def _head(self, about: str, to: Address, action: Action, date: float, message_id: str) -> bytes:
        lines = [
            f"From: Mail delivery <{_ascii_address(self.postmaster)}>",
            f"To: <{escape.visible(str(to))}>",
            f"Subject: {dsn_text.SUBJECTS[action]}",
            f"Date: {format_date(date)}",
            f"Message-ID: {escape.ascii_only(message_id)}",
            *([f"In-Reply-To: {about}", f"References: {about}"] if _MESSAGE_ID.match(about) else []),
            "Auto-Submitted: auto-replied",
            "MIME-Version: 1.0",
        ]
        return "".join(line + "\r\n" for line in lines).encode("utf-8", "replace")

    def _human(self, reports: Sequence[Report], subject: bytes | None, returned: "_Returned") -> str:
        said = f' with the subject "{escape.visible(subject.decode("utf-8", "replace"), 200)}"' if subject else ""
        blocks = [_wrapped(dsn_text.GREETING.format(host=self.host, subject=said))]
        for action in _ORDER:
            mine = [report for report in reports if report.action is action]
            if mine:
                blocks += [_wrapped(dsn_text.HEADINGS[action]), *map(_paragraph, mine)]
        blocks.append(dsn_text.RETURNED_WHOLE if returned.whole else dsn_text.RETURNED_HEADER)
        blocks.append(_wrapped(dsn_text.POSTMASTER.format(postmaster=_ascii_address(self.postmaster))))
        return "\n\n".join(blocks) + "\n"

    def _returned(self, envelope: Envelope, reports: Sequence[Report], original: Original) -> "_Returned":
        wish = envelope.ret or self.default_return
        failed = any(report.action is Action.FAILED for report in reports)
        # RFC 3461 §4.3: the whole message comes back only with a failure.
        if wish == Return.FULL and failed and original.chunks is not None and envelope.size <= self.max_full:
            whole = _limited(original.chunks(), self.max_full)
            kind = BodyType.BINARY if whole is None else needs([whole])
            if whole is not None and kind is not BodyType.BINARY:
                name = "message/global" if envelope.smtputf8 else "message/rfc822"
                return _Returned(name, "7bit" if kind is BodyType.SEVEN else "8bit", whole, whole=True)
        return _returned_header(original.header, self.max_header, utf8=envelope.smtputf8)


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification in wire form, and what it needs of the transport."""

    octets: bytes
    body_type: BodyType
    smtputf8: bool

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in pieces."""
        for start in range(0, len(self.octets), size):
            yield self.octets[start : start + size]


@dataclass(frozen=True, slots=True)
class _Returned:
    type: str
    encoding: str
    octets: bytes
    whole: bool = False


def _limited(chunks: Iterable[bytes], limit: int) -> bytes | None:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) > limit:
            return None
    return bytes(held)


def _returned_header(header: bytes, limit: int, *, utf8: bool) -> _Returned:
    """Cut a header to size at a field, in canonical lines; encoded where it is not plain ASCII in short lines."""
    kept, size = [], 0
    for field in Header(header).fields:
        size += len(field.raw)
        if size > limit:
            break
        kept.append(field.raw)
    lines = _LINE_END.sub(b"\r\n", b"".join(kept))
    kind = needs([lines])
    if kind is BodyType.SEVEN:
        return _Returned("text/rfc822-headers", "7bit", lines)
    if utf8 and kind is BodyType.EIGHT:
        return _Returned("message/global-headers", "8bit", lines)
    return _Returned("text/rfc822-headers; charset=utf-8", "quoted-printable", b"".join(quoted_printable(lines)))


def _multipart(boundary: bytes, encoding: str) -> bytes:
    """The last fields of the head, and the empty line; 8bit inside has to be announced outside (RFC 2045 §6.4)."""
    label = b"Content-Transfer-Encoding: 8bit\r\n" if encoding == "8bit" else b""
    kind = b"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="
    return kind + b'"' + boundary + b'"\r\n' + label + b"\r\n"


def _part(kind: str, encoding: str, octets: bytes) -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets


def _human_part(text: str) -> bytes:
    octets = text.replace("\n", "\r\n").encode("utf-8", "replace")
    if octets.isascii():
        return _part("text/plain; charset=us-ascii", "7bit", octets)
    return _part("text/plain; charset=utf-8", "quoted-printable", b"".join(quoted_printable(octets)))


def _boundary(seed: str, parts: Sequence[bytes]) -> bytes:
    """Choose a boundary that none of the parts contains."""
    number = 0
    while True:
        digest = hashlib.sha256(f"{number} {seed}".encode("utf-8", "replace")).hexdigest()[:32]
        boundary = b"=_" + digest.encode()
        if not any(boundary in part for part in parts):
            return boundary
        number += 1


def _close(boundary: bytes) -> bytes:
    return b"--" + boundary + b"--\r\n"


# The part for people


def _wrapped(text: str, indent: str = "") -> str:
    return "\n".join(wrap(text, 74, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False))


def _paragraph(report: Report) -> str:
    words = words_for(report.action, report.reply)
    recipient = report.recipient
    shown = _typed(recipient)
    lines = [f"  <{escape.visible(shown, 400)}>"]
    if str(recipient.address) != shown:
        lines.append(f"    (which leads to <{escape.visible(str(recipient.address), 400)}>)")
    lines.append(_wrapped(words.happened, "    "))
    if report.action in {Action.FAILED, Action.DELAYED}:
        lines += _said(report)
    if words.advice:
        lines.append(_wrapped(words.advice, "    "))
    if report.retry_until is not None and report.action is Action.DELAYED:
        lines.append(_wrapped(dsn_text.RETRY_UNTIL.format(date=format_date(report.retry_until)), "    "))
    return "\n".join(lines)


def _typed(recipient: Recipient) -> str:
    """The address as the sender wrote it, as far as we know."""
    kind, _, orcpt = recipient.orcpt.partition(";")
    if kind.lower() in {"rfc822", "utf-8"} and orcpt:
        return escape.from_utf8_xtext(orcpt) if kind.lower() == "utf-8" else orcpt
    return str(recipient.original or recipient.address)


def _said(report: Report) -> list[str]:
    """The reply word by word, each line as it came on the wire."""
    who = escape.ascii_only(report.remote, 255)
    introduction = f"The mail system {who} said:" if who else "Our own system said:"
    return [_wrapped(introduction, "    "), *(_wrapped(line, "      ") for line in _wire_lines(report.reply))]


def _wire_lines(reply: Reply) -> list[str]:
    shown = reply.lines[:MAX_REPLY_LINES] or ("",)
    status = f"{escape.ascii_only(reply.status, 20)} " if reply.status else ""
    last = len(shown) - 1
    marks = (" " if number == last else "-" for number in range(len(shown)))
    return [f"{reply.code}{mark}{status}{escape.visible(line, 500)}" for mark, line in zip(marks, shown, strict=True)]


# The part for programs


def _status(host: str, envelope: Envelope, reports: Sequence[Report], queue_id: str) -> bytes:
    groups = [_message_fields(host, envelope, queue_id), *(_recipient_fields(report) for report in reports)]
    return b"\r\n".join(b"".join(_field(name, value) for name, value in group if value) for group in groups)


def _message_fields(host: str, envelope: Envelope, queue_id: str) -> list[tuple[str, str]]:
    origin = envelope.origin
    client = f"{origin.helo or 'unknown'} ({origin.client})" if origin.client else ""
    return [
        ("Original-Envelope-Id", envelope.envid),
        ("Reporting-MTA", f"dns; {host}"),
        ("Received-From-MTA", f"dns; {client}" if client else ""),
        ("Arrival-Date", format_date(envelope.arrived)),
        ("X-Penfold-Queue-ID", queue_id),
    ]


def _recipient_fields(report: Report) -> list[tuple[str, str]]:
    reply = report.reply
    said = " ".join(_wire_lines(reply))
    return [
        ("Original-Recipient", _generic(report.recipient.orcpt)),
        ("Final-Recipient", _final(report.recipient.address)),
        ("Action", report.action.value),
        ("Status", status_of(report.action, reply)),
        ("Remote-MTA", f"dns; {report.remote}" if report.remote else ""),
        ("Diagnostic-Code", f"{'smtp' if report.remote else 'x-penfold'}; {said}"),
        ("Last-Attempt-Date", "" if report.attempted is None else format_date(report.attempted)),
        ("Will-Retry-Until", _retry_until(report)),
    ]


def _retry_until(report: Report) -> str:
    delayed = report.action is Action.DELAYED and report.retry_until is not None
    return format_date(report.retry_until or 0) if delayed else ""


def _final(address: Address) -> str:
    return f"rfc822; {address}" if address.ascii else f"utf-8; {escape.utf8_xtext(str(address))}"


def _generic(orcpt: str) -> str:
    """Write ORCPT (already decoded) as ``type; address``, in ASCII."""
    kind, _, address = orcpt.partition(";")
    if not address or not _TYPE.match(kind):
        return ""
    if kind.lower() == "utf-8" or not address.isascii():
        return f"utf-8; {escape.utf8_xtext(escape.from_utf8_xtext(address))}"
    return f"{kind}; {address}"


def _ascii_address(address: Address) -> str:
    return escape.ascii_only(str(address))


def _field(name: str, value: str) -> bytes:
    """Write a field of the status part: ASCII (other characters as RFC 6533 writes them), folded."""
    text = re.sub(r"[^ -~]", lambda m: f"\\x{{{ord(m[0]):02X}}}", escape.visible(value, 4000))
    lines = wrap(f"{name}: {text}", 76, subsequent_indent=" ", break_on_hyphens=False, break_long_words=False)
    return b"".join(piece.encode() + b"\r\n" for line in lines for piece in _cut(line))


def _cut(line: str) -> Iterator[str]:
    """Cut a line that has no space to fold at, after 900 characters."""
    for start in range(0, len(line), 900):
        yield (" " if start else "") + line[start : start + 900]
