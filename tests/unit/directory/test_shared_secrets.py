"""APOP: judged by a stored shared secret, alike for all who fail, and throttled."""

import asyncio

import pytest

from penfold.directory.authenticator import BAD, Granted, Refused
from penfold.directory.shared_secrets import Secret, SharedSecrets, secret_of
from penfold.model import Reply, Transient

STAMP = "<1896.697170952@dbc.mtview.ca.us>"
GOOD = "c4c9334bac560ecc979e58001b3e22fb"  # RFC 1939 §7: of the secret tanstaaf


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def secrets(user):
    if user == "mrose":
        return Secret("mrose@example.test", "tanstaaf")
    if user == "busy":
        raise Transient(Reply.of(451, "4.3.0", "not now"))
    return None


def judged(judge, user="mrose", digest=GOOD, client="192.0.2.1"):
    return asyncio.run(judge.apop(user, STAMP, digest, client))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def judge(clock):
    return SharedSecrets(secrets, clock=clock, decoy="tanstaaf")


def test_the_digest_of_the_standard_is_good(judge):
    """RFC 1939 §7."""
    assert judged(judge) == Granted("mrose@example.test")


@pytest.mark.parametrize(("user", "digest"), [("mrose", "0" * 32), ("nobody", "0" * 32), ("nobody", GOOD), ("", GOOD)])
def test_all_who_fail_get_one_answer(judge, user, digest):
    assert judged(judge, user, digest) == Refused(BAD)


def test_a_secret_that_cannot_be_read_now_is_not_wrong(judge):
    assert judged(judge, "busy").reply.code == 454


def test_a_client_that_guesses_must_wait_and_others_need_not(judge, clock):
    for _ in range(7):
        judged(judge, digest="0" * 32)
    assert judged(judge).reply.code == 454
    assert judged(judge, client="192.0.2.2") == Granted("mrose@example.test")
    clock.now = 1000.0
    assert judged(judge) == Granted("mrose@example.test")
    assert judged(judge, digest="0" * 32) == Refused(BAD)


@pytest.mark.parametrize(
    ("verifier", "secret"),
    [
        ("{PLAIN}s3 cret", "s3 cret"),
        ("{plain}x", "x"),
        ("{PLAIN}", None),
        ("", None),
        (None, None),
        ("{ARGON2ID}$argon2id$x {SCRAM-SHA-256}1,a,b,c", None),
    ],
)
def test_only_a_verifier_that_is_the_secret_itself_holds_one(verifier, secret):
    assert secret_of(verifier) == secret
