"""Who may come in, and how: the clear-text policy, APOP, TLS."""

import hashlib
import ssl

import pytest
from conformance.pop3_house import Verifiers
from conformance.pop3_runner import TIMESTAMP
from tests.pop3_material import ALICE, LOGIN, ONE, Talk

from penfold.access.pop3 import ClearText, Habits, Holder, offered, timestamps
from penfold.directory.authenticator import BUSY, Refused
from penfold.net.tls import TlsFacts
from penfold.protocols.pop3 import ServerSettings

ALL = ServerSettings(
    hostname="mx.test", mechanisms=("SCRAM-SHA-256",), tls_mechanisms=("SCRAM-SHA-256", "PLAIN", "LOGIN")
)
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
CLEAR, SILENT = ("SCRAM-SHA-256", "PLAIN", "LOGIN"), ("SCRAM-SHA-256",)
PLAIN = "AUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8="


@pytest.mark.parametrize(
    ("policy", "local", "user", "clear", "mechanisms", "under_tls"),
    [
        (ClearText.DEFAULT, False, True, True, CLEAR, CLEAR),
        (ClearText.ALWAYS, False, True, True, CLEAR, CLEAR),
        (ClearText.NEVER, False, False, False, SILENT, SILENT),
        (ClearText.NEVER, True, False, False, SILENT, SILENT),
        (ClearText.LOCAL, False, True, False, SILENT, CLEAR),
        (ClearText.LOCAL, True, True, True, CLEAR, CLEAR),
        (ClearText.TLS, False, True, False, SILENT, CLEAR),
        (ClearText.TLS, True, True, False, SILENT, CLEAR),
    ],
)
def test_the_policy_says_what_is_offered(policy, local, user, clear, mechanisms, under_tls):
    settings = offered(ALL, policy, local=local)
    assert (settings.user, settings.clear_text) == (user, clear)
    assert (settings.mechanisms, settings.tls_mechanisms) == (mechanisms, under_tls)


def test_a_password_is_clear_from_this_machine_and_not_from_others():
    with Talk(ONE) as talk:
        base = talk.house.office.settings
        set_(talk, settings=offered(base, ClearText.LOCAL), local_settings=offered(base, ClearText.LOCAL, local=True))
        assert "say STLS first" in talk.connect(*LOGIN)
        for ip in ("127.0.0.1", "::1", ""):
            assert talk.connect(*LOGIN, ip=ip).endswith("+OK Logged in\r\n")
            talk.say("QUIT")


def set_(talk, **values):
    for name, value in values.items():
        object.__setattr__(talk.house.office, name, value)


def with_secret(talk):
    set_(talk, holder=lambda _: Holder(account=ALICE, shared_secret=True), habits=Habits(clear_text=ClearText.DEFAULT))
    return talk


def test_an_account_with_a_shared_secret_does_not_say_its_password_in_the_clear():
    with Talk(ONE, settings={"mechanisms": "PLAIN"}) as talk:
        with_secret(talk)
        refused = "-ERR [AUTH] This account does not take passwords in the clear: use APOP or TLS\r\n"
        assert talk.connect(*LOGIN).endswith(refused)
        assert talk.say(PLAIN) == refused
        assert talk.say("USER alice", "PASS wrong").endswith("-ERR [AUTH] Authentication failed\r\n")
        assert talk.house.locks.take(ALICE)
        talk.house.locks.release(ALICE)
        assert talk.connect(*LOGIN, tls=TLS).endswith("+OK Logged in\r\n")


def test_apop_is_offered_where_somebody_judges_it():
    with Talk(ONE, settings={"apop": "yes"}) as talk:
        with_secret(talk).connect()
        assert talk.greeting.endswith(f"{TIMESTAMP}\r\n")
        digest = hashlib.md5(f"{TIMESTAMP}alice-demo".encode()).hexdigest()
        assert talk.say(f"APOP alice {digest}") == "+OK Logged in\r\n"
    with Talk(ONE) as talk:
        talk.connect()
        assert "<" not in talk.greeting
        assert talk.say(f"APOP alice {digest}") == "-ERR Unknown command\r\n"


def test_timestamps_are_message_ids_and_never_the_same():
    numbers = iter(range(100))
    timestamp = timestamps("mx.test", lambda: 12.5, lambda size: next(numbers).to_bytes(size, "big"))
    given = {timestamp() for _ in range(50)}
    assert len(given) == 50
    assert all(one.startswith("<0000") and one.endswith(".12@mx.test>") for one in given)


def test_a_judge_that_cannot_tell_now_keeps_the_client_waiting(monkeypatch):
    async def busy(*_):
        return Refused(BUSY)

    monkeypatch.setattr(Verifiers, "password", busy)
    with Talk(ONE) as talk:
        assert talk.connect(*LOGIN).endswith("-ERR [SYS/TEMP] Too many log-ins at the moment; try again\r\n")


def test_a_judge_that_fails_is_an_error_of_ours(monkeypatch):
    async def fail(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(Verifiers, "password", fail)
    with Talk(ONE) as talk:
        assert talk.connect(*LOGIN).endswith("-ERR [SYS/TEMP] This way to log in is not available now\r\n")
        assert talk.house.log.heard[-2][:1] == ("fault",)


def test_sasl_is_not_available_without_whoever_does_it():
    with Talk(ONE, settings={"mechanisms": "PLAIN"}) as talk:
        set_(talk, login=None)
        talk.connect()
        assert talk.say(PLAIN) == "-ERR [SYS/TEMP] This way to log in is not available now\r\n"


def test_stls_is_refused_where_there_is_no_certificate():
    with Talk(ONE, settings={"starttls": "yes"}) as talk:
        talk.connect()
        assert talk.say("STLS") == "-ERR [SYS/PERM] TLS is not available\r\n"
        assert not talk.link.handshake


def test_after_stls_the_password_is_not_in_the_clear():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Talk(ONE, settings={"starttls": "yes", "clear_text": "no"}, tls=context) as talk:
        talk.connect()
        assert "say STLS first" in talk.say(*LOGIN)
        assert talk.say("STLS") == "+OK Begin TLS negotiation\r\n"
        assert talk.link.handshake
        talk.session.secured(TLS)
        assert talk.say(*LOGIN).endswith("+OK Logged in\r\n")
        assert talk.session.origin().tls == "TLSv1.3 TLS_AES_256_GCM_SHA384"
