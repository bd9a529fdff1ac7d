"""Entries of an alias, list or ``.forward`` become recipients, with everything that passes from parent to child.

DSN wishes: a single child inherits them; of several children none reports success for itself (whoever expands says
"expanded" once); the members of a list with an owner report to the owner alone.

SECURITY: programs and files run with the rights of the file that names them: ``rights`` is that owner, or empty for
an administrator's table. A list never lends its reader's rights to what it names, nor its own rights to its reader.

Standards: RFC 3461 §5.2.7; RFC 5321 §3.9
Trust: the entries were parsed already; whose they are decides what they may name.
"""

from collections.abc import Iterable

from penfold.model import Address, Notify, Recipient, Reply
from penfold.routing.entries import TARGET_DOMAINS, Discard, Entry, Fail, To, target_address


def children(
    parent: Recipient, entries: Iterable[Entry], *, home: str, rights: str = "", owner: Address | None = None
) -> tuple[Recipient, ...] | Reply:
    r"""Replace ``parent`` by what ``entries`` name, each target once; a refusing entry refuses it all.

    ``home`` completes unqualified names; ``owner`` becomes the reverse-path of the children. A child written ``\user``
    has itself as its last parent: that is how "no further alias, no .forward" is said.
    """
    listed = list(entries)
    for entry in listed:
        if isinstance(entry, Fail):
            return entry.reply
    targets = dict.fromkeys(_target(entry, home) for entry in listed if not isinstance(entry, Discard | Fail))
    if not targets:
        return ()
    lineage = (*parent.parents, lower(parent.address))
    notify, orcpt = _wishes(parent, len(targets), owner)
    original = parent.original or parent.address
    return tuple(
        Recipient(
            address=address,
            original=original,
            notify=notify,
            orcpt=orcpt,
            owner=owner or parent.owner,
            parents=_lineage(lineage, address, final=final),
            rights=rights if address.domain in TARGET_DOMAINS else "",
        )
        for address, final in targets
    )


def _lineage(lineage: tuple[Address, ...], address: Address, *, final: bool) -> tuple[Address, ...]:
    itself = lower(address)
    return (*lineage, itself) if final and lineage[-1] != itself else lineage


def lower(address: Address) -> Address:
    """Bring an address into the form in which addresses of ours are compared."""
    if address.domain in TARGET_DOMAINS or address.local.islower():
        return address
    return Address(address.local.lower(), address.domain)


def _target(entry: Entry, home: str) -> tuple[Address, bool]:
    if isinstance(entry, To):
        address = entry.address
        return (address if address.domain else address.with_domain(home)), entry.final
    assert not isinstance(entry, Fail | Discard)
    return target_address(entry), False


def _wishes(parent: Recipient, count: int, owner: Address | None) -> tuple[int, str]:
    if owner is not None:
        return Notify.UNSET, ""
    if count > 1 and parent.notify & Notify.SUCCESS:
        return (parent.notify & ~Notify.SUCCESS) or Notify.NEVER, parent.orcpt
    return parent.notify, parent.orcpt
