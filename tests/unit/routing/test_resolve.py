from penfold.directory import Account, MemoryDirectory, Tables
from penfold.model import Address, Recipient, Reply, Route, parse_address
from penfold.routing import (
    Decision,
    Deliver,
    Expand,
    Found,
    Lookup,
    Need,
    NotNow,
    Question,
    Refuse,
    Resolver,
    RouterSettings,
)

ALICE = Account(id="alice@example.test")
BOB = Account(id="bob", kind="unix", uid=1001, gid=1001)
SETTINGS = RouterSettings(
    local_domains=("example.test",),
    virtual_domains=frozenset({"virtual.test"}),
    relay_domains=frozenset({"relayed.test"}),
    literals=frozenset({"[127.0.0.1]"}),
)
DOWN = NotNow(Reply.of(451, "4.3.0", "down"))


def decide(address, *, stage="dispatch", settings=SETTINGS, recipient=None, **tables):
    directory = MemoryDirectory((ALICE, BOB), **tables)
    recipient = recipient or Recipient(parse_address(address))
    decision = Resolver(settings).resolve(Question(recipient, None, stage), Tables(directory.tables()).answers())
    assert isinstance(decision, Decision)
    return decision.result


def routes(address, **tables):
    result = decide(address, **tables)
    assert isinstance(result, Deliver), result
    return result.route


def addresses(address, **tables):
    result = decide(address, **tables)
    assert isinstance(result, Expand), result
    return [str(recipient.address) for recipient in result.recipients]


def refusal(address, **tables):
    result = decide(address, **tables)
    assert isinstance(result, Refuse), result
    return result.reply


def test_a_virtual_account_is_delivered_locally():
    assert routes("Alice@EXAMPLE.test") == Route("local", "", "alice@example.test")


def test_a_unix_user_goes_to_the_unix_mailer_by_login_name():
    assert routes("bob@example.test") == Route("unix", "", "bob")


def test_an_extension_goes_along_as_the_host_of_the_route():
    assert routes("alice+Lists@example.test") == Route("local", "Lists", "alice@example.test")
    assert routes("bob+x+y@example.test") == Route("unix", "x+y", "bob")


def test_an_unknown_user_is_refused_with_550():
    reply = refusal("nobody@example.test")
    assert (reply.code, reply.status) == (550, "5.1.1")


def test_a_unix_user_is_unknown_in_a_virtual_domain():
    assert refusal("bob@virtual.test").status == "5.1.1"


def test_a_foreign_domain_goes_to_its_mx_and_is_not_local():
    result = decide("someone@elsewhere.test")
    assert isinstance(result, Deliver)
    assert result.route == Route("smtp", "elsewhere.test", "someone@elsewhere.test")
    assert not result.local


def test_what_is_missing_is_named_in_one_need():
    question = Question(Recipient(parse_address("alice+x@example.test")), None)
    need = Resolver(SETTINGS).resolve(question, {})
    assert isinstance(need, Need)
    assert Lookup("virtual", "alice+x@example.test") in need.lookups
    assert Lookup("accounts", "alice@example.test") in need.lookups
    assert Lookup("aliases", "alice") in need.lookups


def test_an_account_table_that_is_down_is_never_no_such_user():
    answers = {
        Lookup("virtual", "x@virtual.test"): Found(("y@virtual.test",)),
        Lookup("virtual", "y@virtual.test"): DOWN,
    }
    settings = RouterSettings(virtual_domains=frozenset({"virtual.test"}))
    question = Question(Recipient(Address("x", "virtual.test")), None, "rcpt")
    decision = Resolver(settings).resolve(question, answers)
    assert isinstance(decision, Decision)
    assert isinstance(decision.result, Refuse)
    assert decision.result.reply.code == 451
