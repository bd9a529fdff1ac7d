"""Rates per client."""

from collections import Counter

from penfold.guard.base import Facts
from penfold.guard.limits import RateLimits, Rates
from penfold.guard.sender import SenderRights
from penfold.model import Address, Origin


class Minute(Counter):
    def hit(self, client, limit):
        self[client] += 1
        return self[client] <= limit


def limits_of(**rates):
    return RateLimits(Rates(**rates), {kind: Minute() for kind in ("connections", "messages", "recipients")})


def client(address="192.0.2.1", **more):
    return Facts(role="smtp", origin=Origin("ESMTP", address, user=more.pop("user", "")), **more)


def test_the_client_that_goes_over_a_rate_is_told_to_come_back_later():
    limits = limits_of(messages=2)
    replies = [limits.examine("mail", client()).reply for _ in range(3)]
    assert replies[:2] == [None, None]
    assert (replies[2].code, replies[2].status) == (450, "4.7.1")
    assert limits.examine("mail", client("192.0.2.2")).reply is None


def test_connections_over_the_rate_get_421():
    limits = limits_of(connections=1)
    limits.examine("connect", client())
    assert limits.examine("connect", client()).reply.code == 421


def test_trusted_and_authenticated_clients_are_counted_but_not_refused():
    limits = limits_of(recipients=1)
    for facts in (client(trusted=True), client(user="alice@example.test")):
        assert [limits.examine("rcpt", facts).reply for _ in range(3)] == [None] * 3
    assert limits.examine("rcpt", client()).reply is not None


def test_no_rate_means_no_counting():
    assert RateLimits(Rates(), {}).examine("mail", client()).reply is None


def test_a_submitted_reverse_path_must_belong_to_the_sender():
    """RFC 6409 §6.1."""
    rights = SenderRights(lambda user, path: str(path) == user)
    facts = Facts(role="submission", origin=Origin("ESMTPSA", user="alice@example.test"))
    for path, code in ((Address("alice", "example.test"), None), (None, None), (Address("bob", "example.test"), 553)):
        facts.reverse_path = path
        reply = rights.examine("mail", facts).reply
        assert (reply.code if reply else None) == code


def test_sender_rights_do_not_concern_mail_from_other_hosts():
    rights = SenderRights(lambda user, path: False)
    facts = client()
    facts.reverse_path = Address("anyone", "example.org")
    assert rights.examine("mail", facts).reply is None


def test_exempt_clients_are_not_counted():
    minute = Minute()
    limits = RateLimits(
        Rates(messages=1), {"connections": minute, "messages": minute, "recipients": minute}, ["127.0.0.1"]
    )
    assert [limits.examine("mail", client("127.0.0.1")).reply for _ in range(3)] == [None] * 3
    assert not minute
