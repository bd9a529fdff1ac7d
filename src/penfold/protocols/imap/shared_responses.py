"""Untagged responses about rights, quotas, annotations and authorised URLs, as lines to ``write``.

Standards: RFC 4314 §3; RFC 9208 §4.2; RFC 5464 §4.4; RFC 4467 §7
"""

from collections.abc import Iterable, Mapping

from penfold.protocols.imap import quoting


def acl(mailbox: str, rights: Iterable[tuple[str, str]], *, utf8: bool) -> bytes:
    """Tell the rights of identifiers."""
    pairs = [quoting.astring(name.encode(), utf8=utf8) + b" " + _rights(held) for name, held in rights]
    return b" ".join([b"* ACL " + quoting.mailbox(mailbox, utf8=utf8), *pairs]) + b"\r\n"


def list_rights(mailbox: str, identifier: str, required: str, optional: Iterable[str], *, utf8: bool) -> bytes:
    """Tell which rights an identifier has always, and which groups of rights can be granted together."""
    parts = [
        b"* LISTRIGHTS " + quoting.mailbox(mailbox, utf8=utf8),
        quoting.astring(identifier.encode(), utf8=utf8),
        _rights(required),
        *(_rights(group) for group in optional),
    ]
    return b" ".join(parts) + b"\r\n"


def my_rights(mailbox: str, rights: str, *, utf8: bool) -> bytes:
    """Tell the user's own rights."""
    return b"* MYRIGHTS %b %b\r\n" % (quoting.mailbox(mailbox, utf8=utf8), _rights(rights))


def _rights(rights: str) -> bytes:
    return rights.encode() or b'""'


def quota(root: str, resources: Iterable[tuple[str, int, int]], *, utf8: bool) -> bytes:
    """Tell name, usage and limit of each resource of a quota root."""
    items = [b"%b %d %d" % (name.encode(), usage, limit) for name, usage, limit in resources]
    return b"* QUOTA %b %b\r\n" % (quoting.astring(root.encode(), utf8=utf8), quoting.listed(items))


def quota_root(mailbox: str, roots: Iterable[str], *, utf8: bool) -> bytes:
    """Tell the quota roots of a mailbox."""
    names = [quoting.astring(root.encode(), utf8=utf8) for root in roots]
    return b" ".join([b"* QUOTAROOT " + quoting.mailbox(mailbox, utf8=utf8), *names]) + b"\r\n"


def metadata(mailbox: str, values: Mapping[str, bytes | None], *, utf8: bool) -> bytes:
    """Tell annotations; ``mailbox`` empty is the server."""
    pairs = [
        quoting.astring(name.encode(), utf8=utf8) + b" " + quoting.nstring(value) for name, value in values.items()
    ]
    return b"* METADATA %b %b\r\n" % (quoting.mailbox(mailbox, utf8=utf8), quoting.listed(pairs))


def metadata_changed(mailbox: str, entries: Iterable[str], *, utf8: bool) -> bytes:
    """Tell, unasked, which annotations changed."""
    names = b" ".join(quoting.astring(name.encode(), utf8=utf8) for name in entries)
    return b"* METADATA %b %b\r\n" % (quoting.mailbox(mailbox, utf8=utf8), names)


def url_auth(urls: Iterable[str]) -> bytes:
    """Give the URLs of GENURLAUTH."""
    return b" ".join([b"* GENURLAUTH", *(quoting.astring(url.encode()) for url in urls)]) + b"\r\n"


def url_fetched(fetched: Iterable[tuple[str, bytes | None]]) -> bytes:
    """Give what URLs name, NIL where they name nothing any more."""
    items = [quoting.astring(url.encode()) + b" " + _data(octets) for url, octets in fetched]
    return b" ".join([b"* URLFETCH", *items]) + b"\r\n"


def _data(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else quoting.literal(octets)
