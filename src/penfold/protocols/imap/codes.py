"""Response codes that carry values.

Standards: RFC 9051 §7.1; RFC 4315 §3; RFC 7162 §3.1.2, §3.1.3; RFC 5182; RFC 5464 §4.2.1; RFC 4469 §4; RFC 8474 §4.1;
    RFC 9738 §3 (MESSAGELIMIT)
"""

from collections.abc import Iterable

from penfold.protocols.imap import quoting
from penfold.protocols.imap.sequence_set import render_set

TRYCREATE = b"TRYCREATE"
NONEXISTENT = b"NONEXISTENT"
ALREADYEXISTS = b"ALREADYEXISTS"
OVERQUOTA = b"OVERQUOTA"
UNAVAILABLE = b"UNAVAILABLE"
NOPERM = b"NOPERM"
CANNOT = b"CANNOT"
LIMIT = b"LIMIT"
INUSE = b"INUSE"
SERVERBUG = b"SERVERBUG"
READ_ONLY = b"READ-ONLY"
READ_WRITE = b"READ-WRITE"
CLOSED = b"CLOSED"
NOMODSEQ = b"NOMODSEQ"
EXPUNGEISSUED = b"EXPUNGEISSUED"
USEATTR = b"USEATTR"


def appended(uid_validity: int, uids: Iterable[int]) -> bytes:
    """APPENDUID; the UIDs ascend."""
    return b"APPENDUID %d %b" % (uid_validity, render_set(uids))


def copied(uid_validity: int, sources: Iterable[int], copies: Iterable[int]) -> bytes:
    """COPYUID: both sets ascend, and the copies correspond to the sources in this order."""
    return b"COPYUID %d %b %b" % (uid_validity, render_set(sources), render_set(copies))


def modified(messages: Iterable[int]) -> bytes:
    """MODIFIED: the messages a conditional STORE left alone, ascending."""
    return b"MODIFIED " + render_set(messages)


def highest_modseq(modseq: int) -> bytes:
    """HIGHESTMODSEQ."""
    return b"HIGHESTMODSEQ %d" % modseq


def mailbox_id(identifier: str) -> bytes:
    """MAILBOXID."""
    return b"MAILBOXID (%b)" % identifier.encode()


def bad_url(url: str) -> bytes:
    """BADURL."""
    return b"BADURL " + quoting.string(url.encode("ascii", "replace"))


def metadata_long_entries(size: int) -> bytes:
    """METADATA LONGENTRIES: the size of the largest value left out."""
    return b"METADATA LONGENTRIES %d" % size


def metadata_max_size(size: int) -> bytes:
    """METADATA MAXSIZE: what a value may have."""
    return b"METADATA MAXSIZE %d" % size


def message_limit(limit: int, uid: int = 0) -> bytes:
    """MESSAGELIMIT: how many messages a command is carried out for; ``uid``: the lowest it was carried out for."""
    return b"MESSAGELIMIT %d %d" % (limit, uid) if uid else b"MESSAGELIMIT %d" % limit
