"""Fuzz target: MIME structure and conversion."""

from penfold.message.downgrade import convert, needs
from penfold.message.mime import scan
from penfold.model import BodyType, Permanent

SEEDS: list[bytes] = [
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\xe9\r\n--b--\r\n",
    b"Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xa9\r\n\r\n\xff\r\n",
    b'Content-Type: multipart/signed; boundary="a b"\r\n\r\n--a b\r\n--a b--\r\n',
    b"Content-Type: a/b; x*0*=utf-8''%e9; x*1=y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=\xe9",
]
_ORDER = [BodyType.SEVEN, BodyType.EIGHT, BodyType.BINARY]


def target(data: bytes) -> None:
    """Scan and convert; what is converted must fit, what cannot be is refused."""
    for part in scan(data).walk():
        assert part.start <= part.body <= part.end <= len(data)
        part.lines(data)
    for wanted in (BodyType.SEVEN, BodyType.EIGHT):
        try:
            out = b"".join(convert(data, wanted))
        except Permanent:
            continue
        assert _ORDER.index(needs([out])) <= _ORDER.index(wanted)
