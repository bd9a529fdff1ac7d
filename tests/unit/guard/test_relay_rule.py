"""The relay rule: closed unless opened."""

import pytest

from penfold.guard.base import Facts, Guard, Verdict
from penfold.guard.relay import Networks, RelayRule
from penfold.model import Address, Origin, Recipient, Reply, Route
from penfold.routing.base import Decision, Deliver, Refuse


def facts_for(*, local: bool, role: str = "smtp", user: str = "", trusted: bool = False) -> Facts:
    recipient = Recipient(Address("bob", "example.net"))
    decision = Decision(Deliver(Route("smtp", "example.net", "bob@example.net"), recipient, local), ())
    return Facts(role=role, origin=Origin("ESMTP", "192.0.2.1", user=user), trusted=trusted, decision=decision)


@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        (facts_for(local=True), True),
        (facts_for(local=False), False),
        (facts_for(local=False, trusted=True), True),
        (facts_for(local=False, user="alice@example.test"), True),
        (facts_for(local=False, role="local"), True),
        (facts_for(local=False, role="lmtp", trusted=True), False),
        (facts_for(local=False, role="lmtp", user="alice@example.test"), False),
        (facts_for(local=True, role="lmtp"), True),
    ],
)
def test_only_our_users_and_networks_relay_and_lmtp_never_does(facts, allowed):
    """RFC 5321 §7.9; RFC 2505 §2.1."""
    verdict = RelayRule().examine("rcpt", facts)
    assert (verdict.reply is None) is allowed
    if not allowed:
        assert (verdict.reply.code, verdict.reply.status) == (550, "5.7.1")


def test_a_recipient_that_routing_refused_is_not_the_relay_rules_business():
    facts = Facts(role="smtp", origin=Origin("ESMTP"))
    facts.decision = Decision(Refuse(Reply.of(550, "5.1.1", "no")), ())
    assert RelayRule().examine("rcpt", facts).reply is None


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ((), "127.0.0.1", False),
        (("127.0.0.0/8",), "127.9.9.9", True),
        (("127.0.0.0/8",), "::ffff:127.0.0.1", True),
        (("127.0.0.0/8",), "", False),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "192.0.2.1", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "not an address", False),
    ],
)
def test_networks_contain_addresses_of_their_family_only(networks, address, inside):
    assert (address in Networks(networks)) is inside


class Scores:
    stages = frozenset({"mail"})

    def __init__(self, verdict):
        self.verdict = verdict

    def examine(self, stage, facts):
        return self.verdict


class Waits(Scores):
    def examine(self, stage, facts):
        async def later():
            return self.verdict

        return later()


def finish(coroutine):
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


def test_scores_and_tags_add_up_and_the_first_refusal_ends_the_stage():
    no = Verdict(reply=Reply.of(550, "5.7.1", "no"), rule="second")
    guard = Guard([Scores(Verdict(score=2.5, tag="odd")), Scores(no), Scores(Verdict(score=99))])
    facts = Facts(role="smtp", origin=Origin("ESMTP"))
    assert guard.examine("mail", facts) is no
    assert (facts.score, facts.tags) == (2.5, ["odd"])
    assert guard.examine("rcpt", facts).reply is None


def test_a_check_that_waits_does_not_let_later_checks_be_skipped():
    no = Verdict(reply=Reply.of(450, "4.7.1", "later"), rule="third")
    guard = Guard([Scores(Verdict(score=1)), Waits(Verdict(score=2, tag="slow")), Scores(no)])
    facts = Facts(role="smtp", origin=Origin("ESMTP"))
    assert finish(guard.examine("mail", facts)) is no
    assert (facts.score, facts.tags) == (3, ["slow"])
