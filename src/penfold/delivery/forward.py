"""``.forward``: where a person lets mail go instead of the mailbox.

The file is read as that person left it, and only if nobody else could have written it. What it names gets that person's
rights and no more; a virtual user, who has no rights on this machine, may name addresses only.

Standards: sendmail's aliases and .forward; RFC 5321 §3.9.1
Trust: the content is a user's. SECURITY: no symbolic link is followed, the file must be regular, have one link, belong
to the account's owner (or root), and be writable by nobody else.
"""

import stat

from penfold.directory.base import Account
from penfold.fs.base import FileSystem
from penfold.model import Address, Expanded, Recipient, Reply, Transient
from penfold.routing.expand import children
from penfold.routing.forward import ForwardError, parse_forward

MAX_SIZE = 64 * 1024  # octets
_UNSAFE = Reply.of(451, "4.7.0", "The .forward file is not safe: its owner or its mode is wrong")
_TOO_LARGE = Reply.of(451, "4.3.5", "The .forward file is too large")
_BAD = Reply.of(451, "4.3.5", "The .forward file has an error")


class ForwardFiles:
    """Reads ``.forward`` beside an account's mailbox (virtual) or in its home (Unix)."""

    def __init__(self, fs: FileSystem, *, uid: int, separator: str = "+") -> None:
        self._fs = fs
        self._uid = uid
        self._separator = separator

    def follow(self, account: Account, recipient: Recipient) -> Expanded | None:
        """Give the recipients that replace this one; None where there is no file, or it says to keep the mail here.

        Raises Transient (451) for a file that is unsafe or in error: mail waits until its owner mends it.
        """
        text = self._read(account)
        if text is None or recipient.parents[-1:] == (recipient.address,):
            return None
        try:
            entries = parse_forward(text)
        except ForwardError as error:
            raise Transient(_BAD.with_text(f"{_BAD.text}: {error}")) from None
        if not entries:
            return None
        rights = account.id if account.kind == "unix" else ""
        home = Address(*_split(account, recipient))
        return Expanded(children(recipient, entries, home=home, rights=rights), via=".forward")

    def _read(self, account: Account) -> str | None:
        path = f"{account.home}/.forward"
        if not account.home:
            return None
        try:
            facts = self._fs.stat(path)
        except FileNotFoundError:
            return None
        owners = {0, account.uid or self._uid}
        if not stat.S_ISREG(facts.mode) or facts.links != 1 or facts.uid not in owners or facts.mode & 0o022:
            raise Transient(_UNSAFE)
        if facts.size > MAX_SIZE:
            raise Transient(_TOO_LARGE)
        return self._fs.read(path).decode("utf-8", "replace")


def _split(account: Account, recipient: Recipient) -> tuple[str, str]:
    local, at, domain = account.id.rpartition("@")
    return (local, domain) if at else (account.id, recipient.address.domain)
