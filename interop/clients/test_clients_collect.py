"""curl collects mail by POP3 from a session behind the real listener: in the clear, under TLS, by every mechanism."""

import hashlib
import subprocess

import pytest
from conformance.pop3_house import House, account_of, serving
from conformance.pop3_runner import Transcript
from tests.missing import program

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("clients")]

ONE = b"Subject: one\r\n\r\n.dots.\r\nend\r\n"
TWO = b"Subject: two\r\n\r\n" + (b"x" * 76 + b"\r\n") * 20_000


async def furnish(house: House) -> None:
    house.login_delay = None
    await house.give(account_of("alice"), ONE, TWO)


def office(**values: str) -> Transcript:
    return Transcript("curl", settings=values)


def curl(url: str, *words: str, good: int = 0) -> bytes:
    argv = [program("curl"), "--silent", "--show-error", "--user", "alice:alice-demo", "--insecure", *words, url]
    done = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    assert done.returncode == good, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"clear_text": "yes"}, ()),
        ({"starttls": "yes"}, ("--ssl-reqd",)),
        ({"mechanisms": "PLAIN"}, ("--login-options", "AUTH=PLAIN")),
        ({"mechanisms": "LOGIN"}, ("--login-options", "AUTH=LOGIN")),
        ({"mechanisms": "PLAIN"}, ("--login-options", "AUTH=PLAIN", "--sasl-ir")),
        ({"starttls": "yes", "tls_mechanisms": "PLAIN"}, ("--ssl-reqd", "--login-options", "AUTH=PLAIN")),
        ({"apop": "yes"}, ("--login-options", "AUTH=+APOP")),
    ],
    ids=["USER", "STLS", "PLAIN", "LOGIN", "initial", "PLAIN-TLS", "APOP"],
)
def test_mail_is_listed_and_read(values: dict[str, str], words: tuple[str, ...]) -> None:
    with serving(office(**values), furnish) as port:
        url = f"pop3://127.0.0.1:{port}/"
        assert curl(url, *words) == f"1 {len(ONE)}\r\n2 {len(TWO)}\r\n".encode()
        assert curl(f"{url}1", *words) == ONE
        assert hashlib.sha256(curl(f"{url}2", *words)).digest() == hashlib.sha256(TWO).digest()


def test_mail_is_read_by_implicit_tls() -> None:
    with serving(office(tls="yes"), furnish) as port:
        assert curl(f"pop3s://127.0.0.1:{port}/1") == ONE


def test_mail_is_named_looked_at_and_deleted() -> None:
    with serving(office(clear_text="yes"), furnish) as port:
        url = f"pop3://127.0.0.1:{port}/"
        before = curl(url, "--request", "UIDL").split()
        assert before[::2] == [b"1", b"2"]
        assert curl(url, "--request", "TOP 2 1") == b"Subject: two\r\n\r\n" + b"x" * 76 + b"\r\n"
        curl(f"{url}1", "--request", "DELE", "--list-only")
        assert curl(url, "--request", "UIDL").split() == [b"1", before[3]]


def test_a_wrong_password_is_refused() -> None:
    with serving(office(clear_text="yes"), furnish) as port:
        curl(f"pop3://127.0.0.1:{port}/", "--user", "alice:wrong", good=67)
