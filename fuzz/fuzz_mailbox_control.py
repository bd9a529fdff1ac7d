"""What mail programs keep beside messages and in them: lists of UIDs, letters, subscriptions, fields of state."""

from penfold.formats import letters, status, subscriptions, uidlist

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
    found = uidlist.parse(data)
    if found is not None:
        assert list(found.uids.values()) == sorted(set(found.uids.values()))
        again = uidlist.parse(found.octets())
        assert again is not None
        assert again.uids == found.uids
    names = letters.parse(data)
    assert letters.parse(letters.octets(names)) == names
    letters.parse_courier(data)
    for separator in "./":
        subscriptions.parse(data, separator)
    subscriptions.parse_courier(data)
    state = status.read(data)
    kept = status.without(data, state.spans)
    assert status.strip(data) == kept
    written = status.rewritten(data, state, status.block(state.flags, 7, seen=True, length=status.room(state)))
    assert status.read(written).uid == 7 or not data.endswith(b"\n")
