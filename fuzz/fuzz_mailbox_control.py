"""What mail programs keep beside messages and in them: lists of UIDs, letters, subscriptions, fields of state."""

from penfold.formats.letters import octets as letters_octets
from penfold.formats.letters import parse as parse_letters
from penfold.formats.letters import parse_courier as parse_courier_keywords
from penfold.formats.status import block, read, rewritten, room, strip, without
from penfold.formats.subscriptions import parse as parse_subscriptions
from penfold.formats.subscriptions import parse_courier as parse_courier_subscriptions
from penfold.formats.uidlist import parse as parse_uidlist

SEEDS: list[bytes] = [
    b"3 V100 N7 Gabc\n1 W12 S10 :a.b\n3 :c:2,S\n",
    b"1 5 9\n2 a:2,S\n8 b\n",
    b"0 $Junk\n2 work\n",
    b"work\n$Junk\n\nname.1:0 1\n",
    b"V\t2\n\nINBOX\nwork\tplans\n&AOk-\n",
    b"Subject: x\nX-KEYWORDS: $Work a\nstatus: RO\nX-UID: 17  \nX-Status: AF\nx-imapbase: 5 20 k1 k2\n",
]


def target(data: bytes) -> None:
    """Read it as each of them; what is written of it is read as the same."""
    found = parse_uidlist(data)
    if found is not None:
        assert list(found.uids.values()) == sorted(set(found.uids.values()))
        again = parse_uidlist(found.octets())
        assert again is not None
        assert again.uids == found.uids
    names = parse_letters(data)
    assert parse_letters(letters_octets(names)) == names
    parse_courier_keywords(data)
    for separator in "./":
        parse_subscriptions(data, separator)
    parse_courier_subscriptions(data)
    state = read(data)
    kept = without(data, state.spans)
    assert strip(data) in {kept, strip(kept)}
    written = rewritten(data, state, block(state.flags, 7, seen=True, length=room(state)))
    assert read(written).uid == 7 or not data.endswith(b"\n")
