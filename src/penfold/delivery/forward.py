"""``.forward``: where a person lets mail go instead of the mailbox.

The file is read as that person left it, and only if nobody else could have written it. What it names gets that person's
rights and no more; a virtual user, who has no rights on this machine, may name addresses only.

Standards: sendmail's aliases and .forward; RFC 5321 §3.9.1
Trust: the content is a user's. SECURITY: no symbolic link is followed, the file must be regular, have one link, belong
to the account's owner (or root), and be writable by nobody else.
"""

import stat

import msgspec

from penfold.directory.base import Account
from penfold.fs.base import FileSystem
from penfold.model import Address, Expanded, Recipient, Reply, Transient, failure
from penfold.routing.entries import File, Include, Program
from penfold.routing.expand import children, lower
from penfold.routing.forward import ForwardError, parse_forward

MAX_SIZE = 64 * 1024  # octets
_UNSAFE = Reply.of(451, "4.7.0", "The .forward file is not safe: its owner or its mode is wrong")
_TOO_LARGE = Reply.of(451, "4.3.5", "The .forward file is too large")
_NO_PROGRAMS = Reply.of(451, "4.3.5", "The .forward of a virtual user may name addresses only")
_BAD = Reply.of(451, "4.3.5", "The .forward file has an error")


class ForwardFiles:
    """Reads the ``.forward`` in a Unix user's home, or ``MAILBOX.forward`` beside the mailbox of a virtual user."""

    def __init__(self, fs: FileSystem, *, uid: int) -> None:
        self._fs = fs
        self._uid = uid

    def follow(self, account: Account, recipient: Recipient) -> Expanded | None:
        """Give the recipients that replace this one; None where there is no file, or it says to keep the mail here.

        Raises Transient (451) for a file that is unsafe or in error: mail waits until its owner mends it. Raises the
        error of a refusing entry (``error:``).
        """
        own = lower(recipient.address)
        if recipient.parents and recipient.parents[-1] == own:
            return None  # \\user, or a .forward that names its own mailbox beside others
        data = self._read(account)
        if data is None:
            return None
        try:
            entries = parse_forward(data)
        except ForwardError as error:
            raise Transient(_BAD.with_text(f"{_BAD.text}: {error}")) from None
        unix = account.kind == "unix"
        if not unix and any(isinstance(entry, Program | File | Include) for entry in entries):
            raise Transient(_NO_PROGRAMS)
        if not entries:
            return None
        home = account.id.rpartition("@")[2] if not unix else recipient.address.domain
        replaced = children(recipient, entries, home=home, rights=account.id if unix else "")
        if isinstance(replaced, Reply):
            raise failure(replaced)
        return Expanded(tuple(_keep_own(child, own) for child in replaced), via=".forward")

    def _read(self, account: Account) -> bytes | None:
        path = f"{account.home}/.forward" if account.kind == "unix" else f"{account.path}.forward"
        try:
            facts = self._fs.stat(path)
        except FileNotFoundError:
            return None
        owners = {0, account.uid if account.kind == "unix" else self._uid}
        if not stat.S_ISREG(facts.mode) or facts.links != 1 or facts.uid not in owners or facts.mode & 0o022:
            raise Transient(_UNSAFE)
        if facts.size > MAX_SIZE:
            raise Transient(_TOO_LARGE)
        return self._fs.read(path)


def _keep_own(child: Recipient, own: Address) -> Recipient:
    """Mark a child that is the account itself as final: it goes to the mailbox, not round again."""
    if lower(child.address) != own or child.parents[-1:] == (own,):
        return child
    return msgspec.structs.replace(child, parents=(*child.parents, own))
