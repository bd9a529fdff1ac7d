"""The replies the SMTP server core gives by itself, and how a reply looks on the wire.

Standards: RFC 5321 §4.2; RFC 2034 §4; RFC 3463; RFC 5248
"""

import re
from functools import lru_cache

from penfold.model import Reply

MAX_REPLY_LINE = 512  # octets with CRLF, RFC 5321 §4.5.3.1.5

OK = Reply.of(250, "2.0.0", "OK")
BYE = Reply.of(221, "2.0.0", "Bye")
SENDER_OK = Reply.of(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient OK")
GO_AHEAD = Reply.of(354, "", "End data with <CRLF>.<CRLF>")
ACCEPTED = Reply.of(250, "2.0.0", "Message accepted")
READY_FOR_TLS = Reply.of(220, "2.0.0", "Ready to start TLS")
AUTHENTICATED = Reply.of(235, "2.7.0", "Authentication succeeded")
CANNOT_VERIFY = Reply.of(252, "2.5.0", "Cannot VRFY user, but will take a message for it")
HELP = Reply(214, "2.0.0", ("Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT", "See RFC 5321"))

SYNTAX = Reply.of(501, "5.5.4", "Syntax error in parameters or arguments")
UNKNOWN_PARAMETER = Reply.of(555, "5.5.4", "Unsupported option")
UNKNOWN_COMMAND = Reply.of(500, "5.5.2", "Command not recognised")
BAD_LINE = Reply.of(500, "5.5.2", "Command contains control characters")
LINE_TOO_LONG = Reply.of(500, "5.5.2", "Line too long")
NOT_IMPLEMENTED = Reply.of(502, "5.5.1", "Command not implemented")
NEED_HELLO = Reply.of(503, "5.5.1", "Send EHLO first")
NEED_LHLO = Reply.of(503, "5.5.1", "Send LHLO first")
NEED_MAIL = Reply.of(503, "5.5.1", "Need MAIL first")
NEED_RCPT = Reply.of(503, "5.5.1", "Need RCPT first")
NO_RECIPIENTS = Reply.of(554, "5.5.1", "No valid recipients")
NESTED_MAIL = Reply.of(503, "5.5.1", "Transaction already open")
IN_TRANSACTION = Reply.of(503, "5.5.1", "Not during a mail transaction")
IN_BDAT = Reply.of(503, "5.5.1", "BDAT in progress: send BDAT or RSET")
BDAT_FAILED = Reply.of(503, "5.5.1", "BDAT failed before: send RSET")
BINARY_BY_BDAT = Reply.of(503, "5.5.1", "BINARYMIME needs BDAT")
LMTP_HELLO = Reply.of(500, "5.5.1", "This is LMTP: send LHLO")
NOT_LMTP = Reply.of(500, "5.5.1", "This is not LMTP: send EHLO")
REFUSED_SERVICE = Reply.of(503, "5.5.1", "No service here: send QUIT")
TOO_MANY_RECIPIENTS = Reply.of(452, "4.5.3", "Too many recipients")
TOO_BIG = Reply.of(552, "5.3.4", "Message size exceeds fixed limit")
BARE_LINE_END = Reply.of(550, "5.6.11", "Message contains a bare CR or LF: lines end with <CRLF> only")
TOO_MANY_ERRORS = Reply.of(421, "4.7.0", "Too many errors")
TOO_MANY_COMMANDS = Reply.of(421, "4.7.0", "Too many commands without a message")
TIMED_OUT = Reply.of(421, "4.4.2", "Timeout exceeded")
SHUTTING_DOWN = Reply.of(421, "4.3.2", "Service shutting down, try again later")
NOT_HTTP = Reply.of(421, "4.7.0", "This is a mail server, not a web server")
UNSYNCHRONISED = Reply.of(554, "5.5.0", "SMTP protocol synchronisation error: input after STARTTLS")
TLS_ACTIVE = Reply.of(503, "5.5.1", "TLS is already active")
NEED_TLS = Reply.of(530, "5.7.0", "Must issue a STARTTLS command first")
NEED_TLS_FOR_AUTH = Reply.of(538, "5.7.11", "Encryption required for this authentication mechanism")
NEED_AUTH = Reply.of(530, "5.7.0", "Authentication required")
AUTH_TWICE = Reply.of(503, "5.5.1", "Already authenticated")
AUTH_UNAVAILABLE = Reply.of(503, "5.5.1", "Authentication not available")
UNKNOWN_MECHANISM = Reply.of(504, "5.5.4", "Unrecognised authentication mechanism")
AUTH_CANCELLED = Reply.of(501, "5.7.0", "Authentication cancelled")
BAD_BASE64 = Reply.of(501, "5.5.2", "Invalid base64 data")
AUTH_TOO_LONG = Reply.of(500, "5.5.6", "Authentication exchange line is too long")
UTF8_ADDRESS = Reply.of(553, "5.6.7", "Non-ASCII address needs SMTPUTF8 and valid UTF-8")
XCLIENT_REFUSED = Reply.of(550, "5.7.0", "Insufficient authorisation")

_UNSAFE = re.compile(r"[^ -~\u00a0-\U0010ffff]|[\ud800-\udfff]")


@lru_cache(maxsize=512)  # PERF: most replies of a session are the same few; saves 1 µs each
def render(reply: Reply) -> bytes:
    """Write a reply as octets, every line with code, status and CRLF.

    SECURITY: reply text may quote the client or another host, so controls become ``?`` and long lines are cut.
    """
    status = f"{reply.status} " if reply.status else ""
    if len(reply.lines) == 1:
        return _line(f"{reply.code} {status}", reply.lines[0])
    head = f"{reply.code}-{status}"
    lines = [_line(head, text) for text in reply.lines[:-1]]
    lines.append(_line(f"{reply.code} {status}", reply.lines[-1]))
    return b"".join(lines)


def _line(head: str, text: str) -> bytes:
    line = head + text
    if line.isascii() and line.isprintable() and len(line) <= MAX_REPLY_LINE - 2:
        return line.encode() + b"\r\n"
    octets = _UNSAFE.sub("?", line).encode()[: MAX_REPLY_LINE - 2]
    return octets.decode("utf-8", "ignore").encode() + b"\r\n"
