import pytest

from penfold.model import ProtocolError
from penfold.net.link import Peer
from penfold.net.listener import Prefaced
from penfold.net.preface import proxy_header

LINE = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n"


def test_a_header_names_both_ends_and_its_own_length():
    found = Prefaced(len(LINE), Peer("192.0.2.1", 1234), Peer("192.0.2.2", 25))
    assert proxy_header(LINE) == found
    assert proxy_header(LINE + b"EHLO client\r\n") == found


@pytest.mark.parametrize("end", range(len(LINE)))
def test_the_beginning_of_a_header_is_not_enough(end):
    assert proxy_header(LINE[:end]) is None


def test_a_check_of_the_balancer_itself_keeps_the_address():
    octets = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
    assert proxy_header(octets + b"QUIT\r\n") == Prefaced(len(octets))


def test_anything_else_is_refused():
    with pytest.raises(ProtocolError):
        proxy_header(b"EHLO client.example.test\r\n")
