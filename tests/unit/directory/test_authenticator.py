"""Log-ins judged in one process: throttle, cache, hash."""

import asyncio

import pytest

from penfold.directory.authenticator import BAD, BUSY, THROTTLED, UNABLE, Granted, LocalAuthenticator, Refused, Throttle
from penfold.model import Reply, Transient


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Verifiers:
    def __init__(self):
        self.checked = []
        self.down = False

    def check(self, user, password):
        self.checked.append(user)
        if self.down:
            raise Transient(Reply.of(451, "4.3.0", "down"))
        return f"{user}@x.test" if password == "right" else None

    def scram(self, user):
        if self.down:
            raise Transient(Reply.of(451, "4.3.0", "down"))
        return user


async def at_once(_executor, check, user, password):
    return check(user, password)


@pytest.fixture
def setting():
    clock, verifiers = Clock(), Verifiers()
    return LocalAuthenticator(verifiers, executor=None, run=at_once, clock=clock, key=b"k", line=1), verifiers, clock


def judge(authenticator, user="ada", password="right", client="192.0.2.1"):
    return asyncio.run(authenticator.password(user, password, client))


def test_a_right_password_is_granted_and_remembered_for_a_while(setting):
    authenticator, verifiers, clock = setting
    assert judge(authenticator) == Granted("ada@x.test")
    assert judge(authenticator) == Granted("ada@x.test")
    assert len(verifiers.checked) == 1
    clock.now += 601
    judge(authenticator)
    assert len(verifiers.checked) == 2


def test_a_wrong_password_is_refused_and_in_the_end_not_even_hashed(setting):
    authenticator, verifiers, clock = setting
    answers = [judge(authenticator, password="wrong") for _ in range(10)]
    assert answers[0] == Refused(BAD)
    assert answers[-1] == Refused(THROTTLED)
    assert len(verifiers.checked) == 6
    assert judge(authenticator) == Refused(THROTTLED)
    assert judge(authenticator, client="192.0.2.2") == Granted("ada@x.test")
    clock.now += 3
    assert judge(authenticator) == Granted("ada@x.test")


def test_a_user_database_that_is_down_is_try_again_and_no_failure(setting):
    authenticator, verifiers, _ = setting
    verifiers.down = True
    assert [judge(authenticator) for _ in range(10)] == [Refused(UNABLE)] * 10
    assert asyncio.run(authenticator.scram("ada", "192.0.2.1")) == Refused(UNABLE)
    verifiers.down = False
    assert judge(authenticator) == Granted("ada@x.test")


def test_beyond_the_line_of_waiting_hashes_clients_are_told_to_come_back(setting):
    _, verifiers, clock = setting

    async def crowd():
        gate = asyncio.Event()

        async def slowly(_executor, check, user, password):
            await gate.wait()
            return check(user, password)

        authenticator = LocalAuthenticator(verifiers, executor=None, run=slowly, clock=clock, key=b"k", line=1)
        first = asyncio.ensure_future(authenticator.password("ada", "right", "192.0.2.1"))
        await asyncio.sleep(0)
        second = await authenticator.password("bob", "right", "192.0.2.2")
        gate.set()
        return await first, second

    assert asyncio.run(crowd()) == (Granted("ada@x.test"), Refused(BUSY))


def test_scram_counts_in_the_same_throttle(setting):
    authenticator, _, _ = setting
    assert asyncio.run(authenticator.scram("ada", "192.0.2.1")) == "ada"
    for _ in range(6):
        authenticator.outcome("ada", "192.0.2.1", good=False)
    assert asyncio.run(authenticator.scram("ada", "192.0.2.1")) == Refused(THROTTLED)
    authenticator.outcome("ada", "192.0.2.1", good=True)
    assert asyncio.run(authenticator.scram("ada", "192.0.2.1")) == "ada"


def test_a_throttle_forgets_and_stays_small():
    throttle = Throttle(free=0, size=2)
    for key in ("a", "b", "c"):
        throttle.failed(key, 0.0)
    assert [throttle.blocked(key, 0.5) for key in ("a", "b", "c")] == [False, True, True]
    throttle.failed("b", 5000.0)
    assert not throttle.blocked("b", 5001.5)
