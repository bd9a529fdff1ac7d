"""An .mh_sequences file of anyone's making: read in bounded time and memory, and what is added is there."""

from penfold.formats.sequences import Sequences

SEEDS: list[bytes] = [
    b"cur: 3\nunseen: 1-3 5 9-999999999\n  12\nodd line\n",
    b"unseen: 5-1 0 -3 99999999999999\n",
    b"unseen:\n:\n: 1\n\0\n",
    b"cur: 3\n\n  12\n",
]


def target(data: bytes) -> None:
    """Read, add, write, read again."""
    sequences = Sequences.parse(data)
    sequences.add("unseen", 7)
    again = Sequences.parse(sequences.octets())
    assert 7 in again.numbers("unseen")
    assert str(again.numbers("cur")) == str(sequences.numbers("cur"))
