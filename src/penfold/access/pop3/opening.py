"""From a granted log-in to an open maildrop: whose it is, the lock, LOGIN-DELAY, bulletins, the snapshot.

What must be remembered of an account (when it last logged in, which bulletin it got last) are two annotations of the
account in the store, so it holds in every process and after a restart. The first is written only where there is a
LOGIN-DELAY: it costs every log-in a commit.

Standards: RFC 1939 §4; RFC 2449 §6.5, §8.1; RFC 3206 §4; RFC 5464 §3.1
Durability: a bulletin is noted after it is stored; a crash between the two repeats nothing, because its delivery has a
name under which the store makes it once.
"""

from collections.abc import Mapping, Sequence

from penfold.access.pop3.maildrop import Maildrop
from penfold.access.pop3.office import Bulletin, Holder, PostOffice
from penfold.message import complete
from penfold.message.header import Header, bounds
from penfold.model import Address, QueueId, Reply
from penfold.protocols.pop3 import Response, from_reply
from penfold.store.change import INBOX, NO_MAILBOX, AccountId, Annotation, Deliver, MailboxId, Message, SetMetadata
from penfold.store.result import Refused, Result, Stored

LAST_LOGIN = "/shared/vendor/penfold/pop3/last-login"  # POSIX seconds
LAST_BULLETIN = "/shared/vendor/penfold/pop3/last-bulletin"  # its number

IN_USE = Response.no("Maildrop is locked by another session", "IN-USE")
TOO_SOON = Response.no("Minimum time between log-ins not passed yet", "LOGIN-DELAY")
ONLY_APOP = Response.no("This account does not take passwords in the clear: use APOP or TLS", "AUTH")
NOT_NOW = Response.no("Maildrop cannot be opened now", "SYS/TEMP")
NEVER = Response.no("Maildrop cannot be opened", "SYS/PERM")


async def find(office: PostOffice, user: str) -> Holder | Response:
    """Find whose maildrop a log-in is for."""
    found = office.holder(user)
    holder = found if isinstance(found, Holder | Reply) else await found
    return holder if isinstance(holder, Holder) else from_reply(holder)


async def enter(office: PostOffice, holder: Holder) -> Maildrop | Response:
    """Take the lock and open the maildrop; the lock is given back where that fails."""
    account = holder.account
    if not office.locks.take(account):
        return IN_USE
    try:
        opened = await _open(office, holder)
    except BaseException:
        office.locks.release(account)
        raise
    if isinstance(opened, Response):
        office.locks.release(account)
    return opened


async def _open(office: PostOffice, holder: Holder) -> Maildrop | Response:
    tree = await office.store.tree(holder.account)
    if isinstance(tree, Refused):
        return NEVER if tree.reply.permanent else NOT_NOW
    notes = {note.entry: note.value or b"" for note in tree.annotations if not note.user}
    delay = office.settings.login_delay if holder.login_delay is None else holder.login_delay
    now = int(office.clock())
    if delay and 0 <= now - _number(notes, LAST_LOGIN, -delay) < delay:
        return TOO_SOON
    inbox = next((box.id for box in tree.mailboxes if box.name == INBOX), NO_MAILBOX)
    if inbox == NO_MAILBOX:
        return NEVER
    await _post_bulletins(office, holder, inbox, notes)
    opened = await _snapshot(office, holder, inbox)
    if delay and isinstance(opened, Maildrop):
        await _note(office, holder.account, LAST_LOGIN, now)
    return opened


async def _snapshot(office: PostOffice, holder: Holder, inbox: MailboxId) -> Maildrop | Response:
    view = await office.store.open(holder.account, inbox)
    if isinstance(view, Refused):
        return NEVER if view.reply.permanent else NOT_NOW
    expire = office.settings.expire if holder.expire is None else holder.expire
    return Maildrop(holder.account, view, expire=expire, in_place=office.habits.server_mode)


async def _post_bulletins(office: PostOffice, holder: Holder, inbox: MailboxId, notes: Mapping[str, bytes]) -> None:
    """Put into the mailbox what is new on the board; what does not fit now is tried again at the next log-in."""
    if office.bulletins is None:
        return
    last = _number(notes, LAST_BULLETIN, -1)
    fresh = await office.bulletins.after(None if last < 0 else last)
    if not fresh:
        return
    results = await office.store.apply([_delivery(holder, inbox, bulletin) for bulletin in fresh])
    done = _done(fresh, results)
    if done > last:
        await _note(office, holder.account, LAST_BULLETIN, done)


def _done(bulletins: Sequence[Bulletin], results: Sequence[Result]) -> int:
    """Give the number up to which all are stored, -1 for none."""
    done = -1
    for bulletin, result in zip(bulletins, results, strict=True):
        if not isinstance(result, Stored):
            break
        done = bulletin.number
    return done


def _delivery(holder: Holder, inbox: MailboxId, bulletin: Bulletin) -> Deliver:
    message = Message(addressed(bulletin.content, holder.address))
    return Deliver(holder.account, QueueId(f"BULLETIN{bulletin.number}"), 0, message, INBOX, inbox)


def addressed(content: bytes, address: Address | None) -> bytes:
    """Write the account's address into a bulletin's To field."""
    if address is None:
        return content
    end = bounds(content).end
    header = Header(content[:end]).replace(b"to", complete.address_field("To", address))
    return header.raw + content[end:]


async def _note(office: PostOffice, account: AccountId, entry: str, number: int) -> None:
    note = Annotation(entry, str(number).encode())
    await office.store.apply([SetMetadata(account, NO_MAILBOX, (note,))])


def _number(notes: Mapping[str, bytes], entry: str, missing: int) -> int:
    """Read a number back; what somebody else wrote there is none."""
    value = notes.get(entry, b"")
    return int(value) if value.isdigit() and len(value) < 20 else missing
