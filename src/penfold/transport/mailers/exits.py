"""Exit statuses of delivery programs, as sysexits.h names them, and the replies they stand for.

As sendmail and Postfix have it; what may pass by itself (71 EX_OSERR, 74 EX_IOERR, 75 EX_TEMPFAIL) is tried again. A
program that says something may choose its own enhanced status with the first word (``5.7.1 I do not like you``), of
the class its exit status has.

Standards: RFC 3463
Trust: the words are those of a program a user chose: escaped, cut to size, and never above the class of its status.
"""

import re

from penfold.message import escape
from penfold.model import Deferred, Delivered, Failed, Outcome, Reply

EX_TEMPFAIL = 75

_REPLIES = {
    64: (550, "5.3.0", "Command line usage error"),
    65: (550, "5.6.0", "Data format error"),
    66: (550, "5.3.0", "Cannot open input"),
    67: (550, "5.1.1", "User unknown"),
    68: (550, "5.1.2", "Host name unknown"),
    69: (554, "5.3.0", "Service unavailable"),
    70: (554, "5.3.0", "Internal software error"),
    71: (451, "4.3.0", "System resource problem"),
    72: (554, "5.3.0", "Critical file of the system missing"),
    73: (550, "5.2.0", "Cannot create the user's output file"),
    74: (451, "4.3.0", "Input/output error"),
    75: (450, "4.3.0", "Temporary failure"),
    76: (554, "5.5.0", "Remote error in protocol"),
    77: (550, "5.7.1", "Permission denied"),
    78: (550, "5.3.5", "Local configuration error"),
}
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")
_MOST_LINES = 20


def outcome_of(status: int, output: bytes) -> Outcome:
    """Judge an exit status (negative: the signal that ended the program) and what the program said."""
    if status == 0:
        return Delivered(Reply.of(250, "2.0.0", "The program took the message"), final=True)
    if status < 0:
        code, enhanced, text = 451, "4.3.0", f"The program was ended by signal {-status}"
    else:
        unknown = (554, "5.3.0", f"The program ended with status {status}")
        code, enhanced, text = _REPLIES.get(status, unknown)
    said = _lines(output)
    if said and (own := _STATUS.match(said[0])) is not None and own[1][0] == enhanced[0]:
        enhanced = own[1]
        said[0] = said[0][own.end() :]
    reply = Reply(code, enhanced, (text, *(f"The program said: {line}" for line in said if line)))
    return Deferred(reply) if reply.transient else Failed(reply)


def _lines(output: bytes) -> list[str]:
    lines = output.decode("utf-8", "replace").splitlines()
    return [line for raw in lines[:_MOST_LINES] if (line := escape.visible(raw, 400).strip())]
