"""Decisions at the edges: missing answers, tables in error, settings in error."""

import pytest

from penfold.model import Address, Recipient, Reply, Route, parse_address
from penfold.routing import (
    Decision,
    Deliver,
    Expand,
    Found,
    Lookup,
    Missing,
    Need,
    NotNow,
    Question,
    Refuse,
    Resolver,
    RouterSettings,
)

SETTINGS = RouterSettings(local_domains=("x.test",))
DOWN = NotNow(Reply.of(451, "4.3.0", "down"))


class Known(dict):
    """Says Missing for what it has not got."""

    def get(self, lookup, default=None):
        return dict.get(self, lookup, Missing())


def ask(address, answers, stage="rcpt", settings=SETTINGS, parents=()):
    address = parse_address(address) if isinstance(address, str) else address
    known = {Lookup(*key.split(" ", 1)): value for key, value in answers.items()}
    return Resolver(settings).resolve(Question(Recipient(address, parents=parents), None, stage), Known(known))


def test_the_look_ups_behind_an_alias_are_named_together():
    resolver = Resolver(RouterSettings(local_domains=("x.test",), tables=frozenset({"aliases", "accounts"})))
    known = {
        Lookup("aliases", "list"): Found(tuple(f"u{n}" for n in range(50))),
        Lookup("aliases", "owner-list"): Missing(),
    }
    need = resolver.resolve(Question(Recipient(Address("list", "x.test")), None, "rcpt"), known)
    assert isinstance(need, Need)
    assert {Lookup("accounts", f"u{n}@x.test") for n in range(50)} <= set(need.lookups)


def test_one_good_end_needs_no_more_answers():
    resolver = Resolver(RouterSettings(local_domains=("x.test",), tables=frozenset({"aliases", "accounts"})))
    known = {
        Lookup("aliases", "list"): Found(("far@elsewhere.test", "u")),
        Lookup("aliases", "owner-list"): Missing(),
    }
    decision = resolver.resolve(Question(Recipient(Address("list", "x.test")), None, "rcpt"), known)
    assert isinstance(decision, Decision)
    assert isinstance(decision.result, Expand)


def test_an_address_named_twice_behind_an_alias_is_looked_at_once():
    result = ask(
        "a@x.test", {"aliases a": Found(("b", "c")), "aliases b": Found(("ghost",)), "aliases c": Found(("ghost",))}
    )
    assert sum(step.detail == "ghost@x.test" for step in result.steps) == 1


def test_tables_that_do_not_exist_are_never_asked():
    settings = RouterSettings(local_domains=("x.test",), tables=frozenset({"accounts"}))
    known = {Lookup("accounts", "a@x.test"): Found(("local a@x.test",))}
    decision = Resolver(settings).resolve(Question(Recipient(Address("a", "x.test")), None), known)
    assert decision.result.route == Route("local", "", "a@x.test")


def test_lists_are_refused_where_there_is_no_table_of_lists():
    settings = RouterSettings(local_domains=("x.test",), tables=frozenset({"aliases"}))
    reply = ask("l@x.test", {"aliases l": Found((":include:/l",))}, settings=settings).result.reply
    assert reply.status == "5.7.1"


@pytest.mark.parametrize(
    "table", ["virtual a@x.test", "aliases a", "aliases owner-a", "accounts a@x.test", "accounts a"]
)
def test_any_table_that_is_down_defers(table):
    answers = {"aliases a": Found(("ghost",))} if table == "aliases owner-a" else {}
    result = ask("a@x.test", answers | {table: DOWN}).result
    assert result.reply.code == 451


def test_a_table_that_is_down_with_a_permanent_reply_still_defers():
    result = ask("a@x.test", {"aliases a": NotNow(Reply.of(550, "5.1.1", "wrong"))}).result
    assert result.reply.code == 451


def test_a_foreign_domain_with_the_transport_table_down_defers_as_foreign():
    result = ask("a@far.test", {"transport *": DOWN}).result
    assert result == Refuse(DOWN.reply, local=False)


@pytest.mark.parametrize("value", ["nonsense", "pipe /bin/sh", "local ", ""])
def test_an_account_value_in_error_defers(value):
    assert ask("a@x.test", {"accounts a@x.test": Found((value,))}).result.reply.code == 451


def test_a_mailbox_transport_in_error_defers_and_one_that_refuses_refuses():
    account = {"accounts a@x.test": Found(("local a@x.test",))}
    assert ask("a@x.test", account | {"transport x.test": Found(("what ever",))}).result.reply.code == 451
    refused = ask("a@x.test", account | {"transport x.test": Found(("error:5.3.0 closed",))}).result
    assert refused.reply == Reply.of(550, "5.3.0", "closed")
    assert refused.local


def test_a_mailbox_reached_by_our_literal_leaves_with_its_domain():
    account = {"accounts a@x.test": Found(("local a@x.test",)), "transport x.test": Found(("lmtp:[::1]:24",))}
    settings = RouterSettings(local_domains=("x.test",), literals=frozenset({"[127.0.0.1]"}))
    assert ask("a@[127.0.0.1]", account, settings=settings).result.route == Route("lmtp", "[::1]:24", "a@x.test")


def test_a_postmaster_setting_in_error_falls_back_to_the_first_account():
    settings = RouterSettings(local_domains=("x.test",), postmaster="not an address")
    result = ask("postmaster@x.test", {"accounts ": Found(("unix root",))}, settings=settings).result
    assert result == Deliver(Route("unix", "", "root"), Recipient(Address("postmaster", "x.test")), local=True)


def test_postmaster_waits_while_the_accounts_are_down():
    assert ask("postmaster@x.test", {"accounts ": DOWN}).result.reply.code == 451
    assert ask("ghost@x.test", {"accounts ": DOWN}, parents=(Address("postmaster", "x.test"),)).result.reply.code == 451


def test_without_any_local_domain_bare_names_belong_to_localhost():
    assert ask("a", {"accounts a": Found(("unix a",))}, settings=RouterSettings()).result.route.user == "a"


def test_a_virtual_user_that_refuses_keeps_its_extension_out_of_it():
    result = ask("a+x@x.test", {"virtual a@x.test": Found(("error:5.1.6 moved",))}).result
    assert result.reply.status == "5.1.6"


def test_a_members_unqualified_name_belongs_to_the_lists_own_domain():
    settings = RouterSettings(local_domains=("x.test", "y.test"))
    parents = (Address("list", "y.test"),)
    list_ = Address("/l", ":include:")
    result = ask(list_, {"include /l": Found(("a",), "root")}, "dispatch", settings, parents).result
    assert str(result.recipients[0].address) == "a@y.test"
    result = ask(list_, {"include /l": Found(("a",), "root")}, "dispatch", settings, (Address("far", "z.test"),)).result
    assert str(result.recipients[0].address) == "a@x.test"


def test_the_reasons_of_a_walk_are_bounded():
    many = Found(tuple(f"ghost{n}" for n in range(5_000)))
    decision = ask("a@x.test", {"aliases a": many})
    assert decision.result.reply.status == "5.1.1"
    assert len(decision.steps) <= 200


def test_a_quoted_address_is_not_the_account_of_that_address():
    accounts = {"accounts a@x.test": Found(("local a@x.test",))}
    assert ask('"a@x.test"@x.test', accounts).result.reply.status == "5.1.1"
    assert ask('"a@x.test+y"@x.test', accounts).result.reply.status == "5.1.1"


def test_an_empty_local_part_is_nobody():
    answers = {"accounts ": Found(("local a@x.test",)), "virtual @x.test": Found(("a@x.test",))}
    assert ask('""@x.test', answers).result.reply.status == "5.1.1"
    assert ask('""@x.test', answers, "dispatch").result.reply.status == "5.1.1"
