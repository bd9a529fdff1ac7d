"""Disposition notifications, parameters of MIME fields, and whether a program may answer."""

from penfold.message.automatic import why_unanswerable
from penfold.message.header import bounds
from penfold.message.mdn_reader import parse_mdn
from penfold.message.parameter import parse_parameters
from penfold.model import Address

SEEDS: list[bytes] = [
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
    b"Final-Recipient: rfc822; a@b\r\nOriginal-Message-ID: <1@h>\r\n"
    b"Disposition: manual-action/MDN-sent-manually; displayed\r\n--b--\r\n",
    b'multipart/mixed; boundary="a;b"; x*0*=utf-8\'en\'%e9; x*1="y"; x*2*=%zz; x*1000000000=z',
    b"Auto-Submitted: auto-replied (x)\r\nPrecedence: bulk\r\nList-Id: <a.b>\r\n\r\n",
]
TOKENS = (b"Auto-Submitted: no", b"Precedence: list", b"*0*=", b"*1=", b"iso-2022-jp''", b"utf-7''", b"message/rfc822")


def target(data: bytes) -> None:
    """Read the octets as each; whatever they are, there is an answer."""
    parse_mdn(data)
    kind = parse_parameters(data)
    assert len("".join(kind.parameters.values())) <= 8 * len(data) + 8
    for who in ("ada", data[:40].decode("latin-1")):
        assert isinstance(why_unanswerable(data[: bounds(data).end], Address(who, "b.c")), str)
