"""Fuzz target: all that a mailbox server makes of a message."""

from penfold.message.bodystructure import bodystructure
from penfold.message.content_decoding import UnknownEncoding
from penfold.message.searchable import texts
from penfold.message.sections import What, binary, binary_size, section
from penfold.message.structure import leaves, scan
from penfold.message.summary import summarise

SEEDS: list[bytes] = [
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\xe9\r\n--b\r\nContent-Type: text/html\r\n\r\n"
    b"<p>x&amp;y<script>\r\n--b--\r\n",
    b"Content-Type: message/rfc822\r\n\r\nSubject: Re: [x] =?utf-8?q?=C3=A9?= =?utf-8?b?w6k=?= (fwd)\r\n\r\n\xff\r\n",
    b'From: A <a@b>, G: c@d, \xe9 <@x,@y:e@f>;, (c) x\r\nTo: a@b\r\nTo: "\\"" <c@d>\r\nDate: 1 Jan 20 1:2 PST\r\n\r\n',
    b"Content-Type: a/b; x*0*=utf-8''%e9; x*1=y (c); z=\"\r\nContent-Language: en, de\r\n"
    b"Content-Location: a\r\n b\r\n\r\n",
    b"Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: base64\r\n\r\nGyRCRnxLXBsoQg==\r\n",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uue\r\n\r\nbegin 644 x\r\n%:&5L;&\\ \r\n`\r\nend\r\n",
    b'Content-Type: multipart/digest; boundary=b\r\nReferences: <a@b>\r\n <"c"@d>\r\n'
    b"\r\n--b\r\n\r\nFrom: x\r\n\r\n--b--",
    b"Date: Wed Jul 17 02:23:25 PDT 1996\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n> a=\r\n=E9=\r\n",
]


def target(data: bytes) -> None:
    """Render everything; ranges stay inside the message, all text can be encoded."""
    root = scan(data)
    summarise(data, root)
    bodystructure(data, root, extended=False)
    for part in leaves(root):
        assert 0 <= part.start <= part.body <= part.end <= len(data)
    for text in texts(data, root, overlap=10):
        assert text.text is None or text.text.encode() is not None
    for numbers in ((), (1,), (2,), (1, 1)):
        for what in What:
            found = section(data, root, numbers, what, (b"subject",))
            assert found is None or len(found.read(data)) == found.size
        _binary(data, numbers)


def _binary(data: bytes, numbers: tuple[int, ...]) -> None:
    root = scan(data)
    try:
        found = binary(data, root, numbers)
    except UnknownEncoding:
        return
    assert (found.size if found else None) == binary_size(data, root, numbers)
