"""``.forward`` and ``:include:`` files, and the recipients that come of them."""

from penfold.model import Address, Recipient, Reply
from penfold.routing.entries import TARGET_DOMAINS
from penfold.routing.expand import children
from penfold.routing.forward import ForwardError, parse_forward

SEEDS: list[bytes] = [
    b'# away\n\\joe, "|/usr/bin/vacation joe"\nbob@example.org\n',
    b'|"exec /usr/bin/procmail"\n/home/joe/Mail/\n:include:/home/joe/list\n:blackhole:\nerror:550 5.7.1 no\n',
]


def target(data: bytes) -> None:
    """Read the octets and expand them for a user."""
    try:
        entries = parse_forward(data)
    except ForwardError:
        return
    parent = Recipient(Address("joe", "example.test"))
    replaced = children(parent, entries, home="example.test", rights="joe")
    if isinstance(replaced, Reply):
        return
    for child in replaced:
        assert child.address.domain
        assert (child.rights == "joe") == (child.address.domain in TARGET_DOMAINS)
