from penfold.directory import Account, MemoryDirectory, Tables
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
    """RFC 5233."""
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


# -- aliases ------------------------------------------------------------------------------------------------------


def test_an_alias_expands_and_completes_unqualified_names_with_its_own_domain():
    assert addresses("team@example.test", aliases={"team": ("alice", "x@elsewhere.test", "alice")}) == [
        "alice@example.test",
        "x@elsewhere.test",
    ]


def test_a_child_remembers_original_parents_and_dsn_wishes():
    parent = Recipient(parse_address("team@example.test"), notify=2, orcpt="rfc822;team@example.test")
    result = decide("", recipient=parent, aliases={"team": ("alice",)})
    (child,) = result.recipients
    assert child.original == parent.address
    assert child.parents == (parent.address,)
    assert (child.notify, child.orcpt) == (2, parent.orcpt)


def test_of_several_children_none_reports_success_for_itself():
    parent = Recipient(parse_address("team@example.test"), notify=2 | 4)
    assert {child.notify for child in decide("", recipient=parent, aliases={"team": ("alice", "bob")}).recipients} == {
        4
    }
    parent = Recipient(parse_address("team@example.test"), notify=2)
    assert {child.notify for child in decide("", recipient=parent, aliases={"team": ("alice", "bob")}).recipients} == {
        1
    }


def test_an_owner_alias_becomes_the_reverse_path_of_the_list():
    result = decide("list@example.test", aliases={"list": ("alice", "bob"), "owner-list": ("carol",)})
    assert {child.owner for child in result.recipients} == {Address("owner-list", "example.test")}
    assert {child.notify for child in result.recipients} == {0}


def test_an_owner_alias_has_no_owner_itself():
    tables = {"owner-list": ("alice",), "owner-owner-list": ("bob",)}
    assert decide("owner-list@example.test", aliases=tables).recipients[0].owner is None


def test_a_final_entry_goes_straight_to_the_mailbox():
    tables = {"alice": ("\\alice", "bob")}
    first = decide("alice@example.test", aliases=tables).recipients[0]
    assert first.parents[-1] == first.address
    assert decide("", recipient=first, aliases=tables).route == Route("local", "", "alice@example.test")


def test_an_alias_that_names_itself_means_the_mailbox():
    tables = {"alice": ("alice", "x@elsewhere.test")}
    first = decide("Alice@example.test", aliases=tables).recipients[0]
    assert decide("", recipient=first, aliases=tables).route == Route("local", "", "alice@example.test")


def test_an_alias_has_precedence_over_an_account_of_the_same_name():
    assert addresses("alice@example.test", aliases={"alice": ("bob",)}) == ["bob@example.test"]


def test_an_alias_with_an_extension_of_its_own_has_precedence_over_the_plain_one():
    tables = {"team+urgent": ("bob",), "team": ("alice",)}
    assert addresses("team+urgent@example.test", aliases=tables) == ["bob@example.test"]
    assert addresses("team+other@example.test", aliases=tables) == ["alice@example.test"]


def test_a_program_goes_through_the_pipe_mailer_with_administrators_rights():
    (child,) = decide("auto@example.test", aliases={"auto": ("|/bin/prog -x",)}).recipients
    assert decide("", recipient=child).route == Route("pipe", "", "/bin/prog -x")


def test_a_file_goes_through_the_file_mailer_and_dev_null_is_discarded():
    archive, nowhere = decide("a@example.test", aliases={"a": ("/var/archive", "/dev/null")}).recipients
    assert decide("", recipient=archive).route == Route("file", "", "/var/archive")
    assert decide("", recipient=nowhere).route.mailer == "discard"


def test_a_failing_alias_refuses_with_its_own_words():
    reply = refusal("gone@example.test", aliases={"gone": ("error:5.1.6:551 Moved away",)})
    assert reply == Reply.of(551, "5.1.6", "Moved away")


def test_a_discarding_alias_expands_to_nobody_and_is_accepted():
    assert addresses("hole@example.test", stage="rcpt", aliases={"hole": (":blackhole:",)}) == []


def test_an_alias_value_that_cannot_be_read_is_not_now():
    assert refusal("x@example.test", stage="rcpt", aliases={"x": ("not an address",)}).code == 451


# -- rcpt: what lies behind an alias ------------------------------------------------------------------------------


def test_at_rcpt_an_alias_of_unknown_users_only_is_refused():
    reply = refusal("a@example.test", stage="rcpt", aliases={"a": ("b", "ghost"), "b": ("phantom",)})
    assert (reply.code, reply.status) == (550, "5.1.1")


def test_at_rcpt_one_good_end_is_enough():
    assert addresses("a@example.test", stage="rcpt", aliases={"a": ("ghost", "b"), "b": ("alice",)})


def test_a_loop_of_aliases_is_refused_with_5_4_6():
    assert refusal("a@example.test", stage="rcpt", aliases={"a": ("b",), "b": ("c",), "c": ("a",)}).status == "5.4.6"


def test_a_loop_is_found_at_dispatch_by_the_parents():
    chain = (Address("a", "example.test"), Address("b", "example.test"))
    looped = Recipient(Address("A", "example.test"), parents=chain)
    assert refusal("", recipient=looped, aliases={"a": ("b",), "b": ("a",)}).status == "5.4.6"


def test_a_chain_of_more_than_fifty_aliases_is_a_loop():
    chain = {f"a{n}": (f"a{n + 1}",) for n in range(60)} | {"a60": ("alice",)}
    assert refusal("a0@example.test", stage="rcpt", aliases=chain).status == "5.4.6"
    assert addresses("a20@example.test", stage="rcpt", aliases=chain) == ["a21@example.test"]


def test_an_alias_of_too_many_recipients_waits_instead_of_being_lost():
    many = {"many": tuple(f"u{n}" for n in range(10_001))}
    assert refusal("many@example.test", stage="rcpt", aliases=many).code == 451


def test_a_fan_out_of_thousands_of_unknown_users_is_bounded():
    wide = {"w": tuple(f"v{n}" for n in range(3))}
    wide |= {f"v{n}": tuple(f"x{n}-{k}" for k in range(9_000)) for n in range(3)}
    assert refusal("w@example.test", stage="rcpt", aliases=wide).code == 451


# -- lists --------------------------------------------------------------------------------------------------------


def listed(path, entries, owner, rights=""):
    recipient = Recipient(Address(path, ":include:"), parents=(Address("list", "example.test"),), rights=rights)
    answers = {Lookup("include", path): Found(entries, owner)}
    return Resolver(SETTINGS).resolve(Question(recipient, None), answers).result


def test_members_of_a_users_list_get_that_users_rights_for_programs():
    person, program = listed("/l", ("alice", "|/bin/p"), "bob").recipients
    assert str(person.address) == "alice@example.test"
    assert decide("", recipient=program).route == Route("pipe", "bob", "/bin/p")


def test_programs_of_an_administrators_list_run_as_the_default_user():
    (program,) = listed("/l", ("|/bin/p",), "root").recipients
    assert decide("", recipient=program).route == Route("pipe", "", "/bin/p")


def test_a_users_forward_never_reaches_what_another_owner_wrote():
    assert isinstance(listed("/l", ("|/bin/p",), "bob", rights="alice"), Refuse)
    assert isinstance(listed("/l", ("|/bin/p",), "root", rights="alice"), Refuse)
    assert listed("/l", ("|/bin/p",), "alice", rights="alice").recipients[0].rights == "alice"


def test_a_list_that_includes_itself_ends_as_a_loop():
    recipient = Recipient(Address("/l", ":include:"), parents=(Address("list", "example.test"),))
    answers = {Lookup("include", "/l"): Found((":include:/l",), "root")}
    resolver = Resolver(SETTINGS)
    for _ in range(3):
        result = resolver.resolve(Question(recipient, None), answers).result
        if isinstance(result, Refuse):
            break
        (recipient,) = result.recipients
    assert isinstance(result, Refuse)
    assert result.reply.status == "5.4.6"


def test_a_list_that_cannot_be_read_is_never_unknown():
    answers = {
        Lookup("virtual", "l@example.test"): Missing(),
        Lookup("aliases", "l"): Found((":include:/l",)),
        Lookup("aliases", "owner-l"): Missing(),
        Lookup("include", "/l"): DOWN,
    }
    question = Question(Recipient(Address("l", "example.test")), None, "rcpt")
    assert Resolver(SETTINGS).resolve(question, answers).result.reply.code == 451
    answers[Lookup("include", "/l")] = Missing()
    assert Resolver(SETTINGS).resolve(question, answers).result.reply.code == 451


# -- virtual users, catch-all -------------------------------------------------------------------------------------


def test_a_virtual_user_stands_for_other_addresses():
    virtual = {"info@virtual.test": ("alice@example.test", "x@elsewhere.test")}
    assert addresses("Info@virtual.test", virtual=virtual) == ["alice@example.test", "x@elsewhere.test"]


def test_the_extension_of_a_virtual_user_goes_along():
    assert addresses("info+q@virtual.test", virtual={"info@virtual.test": ("alice@example.test",)}) == [
        "alice+q@example.test"
    ]


def test_the_catch_all_gets_only_what_nobody_else_gets():
    virtual = {"@example.test": ("alice",), "@virtual.test": ("%1@example.test",)}
    assert routes("bob@example.test", virtual=virtual).user == "bob"
    assert addresses("ghost@example.test", virtual=virtual) == ["alice@example.test"]
    assert addresses("carol+x@virtual.test", virtual=virtual) == ["carol+x@example.test"]


def test_a_catch_all_never_turns_a_local_part_into_a_program():
    for local in ("|/bin/sh", "/etc/passwd", ":include:/etc/passwd", "error:550", "\\alice", "a b"):
        recipient = Recipient(Address(local, "virtual.test"))
        result = decide("", recipient=recipient, virtual={"@virtual.test": ("%1@example.test",)})
        assert [child.address for child in result.recipients] == [Address(local, "example.test")]


def test_a_virtual_user_never_stands_for_a_program():
    assert refusal("x@virtual.test", virtual={"x@virtual.test": ("|/bin/sh",)}).code == 451


def test_catch_alls_that_name_each_other_end_as_a_loop():
    virtual = {"@virtual.test": ("@other.test",), "@other.test": ("%1@virtual.test",)}
    settings = RouterSettings(virtual_domains=frozenset({"virtual.test", "other.test"}))
    assert refusal("u@virtual.test", stage="rcpt", virtual=virtual, settings=settings).status == "5.4.6"


# -- postmaster ---------------------------------------------------------------------------------------------------


def test_postmaster_of_any_domain_of_ours_reaches_the_first_account():
    """RFC 5321 §4.5.1; RFC 2142 §5."""
    for address in ("postmaster@example.test", "Postmaster@virtual.test", "POSTMASTER", "postmaster+x@virtual.test"):
        assert routes(address, stage="rcpt") == Route("local", "", "alice@example.test")


def test_postmaster_reaches_the_configured_address():
    settings = RouterSettings(local_domains=("example.test",), postmaster="bob")
    assert addresses("postmaster@example.test", settings=settings) == ["bob@example.test"]


def test_a_postmaster_alias_comes_first_but_never_ends_nowhere():
    assert addresses("postmaster@example.test", aliases={"postmaster": ("bob",)}) == ["bob@example.test"]
    loop = {"postmaster": ("a",), "a": ("postmaster",)}
    for broken in ({"postmaster": ("root",)}, loop, {"postmaster": (":fail: no",)}):
        assert not isinstance(decide("postmaster@example.test", stage="rcpt", aliases=broken), Refuse)
    ghost = Recipient(Address("root", "example.test"), parents=(Address("postmaster", "example.test"),))
    assert decide("", recipient=ghost).route.user == "alice@example.test"


def test_postmaster_without_any_account_waits():
    question = Question(Recipient(Address("postmaster", "example.test")), None, "rcpt")
    decision = Resolver(SETTINGS).resolve(question, Tables({}).answers())
    assert decision.result.reply.code == 451


# -- foreign mail -------------------------------------------------------------------------------------------------


def test_the_transport_table_matches_address_domain_parent_and_star_in_this_order():
    table = {
        "x@a.b.test": ("smtp:[one]",),
        "a.b.test": ("smtp:two:2525",),
        ".b.test": ("lmtp:unix:/run/three",),
        "*": ("relay:four",),
    }
    assert routes("x@a.b.test", transport=table) == Route("smtp", "[one]", "x@a.b.test")
    assert routes("y@a.b.test", transport=table) == Route("smtp", "two:2525", "y@a.b.test")
    assert routes("y@c.d.b.test", transport=table) == Route("lmtp", "unix:/run/three", "y@c.d.b.test")
    assert routes("y@b.test", transport=table) == Route("smtp", "four", "y@b.test")


def test_transport_values_may_refuse_discard_or_leave_the_host_open():
    table = {"closed.test": ("error:5.1.2 closed",), "hole.test": ("discard:",), "mx.test": ("smtp:",)}
    table["bad.test"] = ("uucp:x",)
    refused = decide("x@closed.test", transport=table)
    assert refused == Refuse(Reply.of(550, "5.1.2", "closed"), local=False)
    assert routes("x@hole.test", transport=table).mailer == "discard"
    assert routes("x@mx.test", transport=table) == Route("smtp", "mx.test", "x@mx.test")
    assert refusal("x@bad.test", transport=table).code == 451


def test_the_smart_host_takes_foreign_mail_but_not_that_of_relay_domains():
    settings = RouterSettings(
        local_domains=("example.test",), relay_domains=frozenset({"relayed.test"}), smart_host="[smart.test]:587"
    )
    assert routes("x@elsewhere.test", settings=settings) == Route("smtp", "[smart.test]:587", "x@elsewhere.test")
    assert routes("x@relayed.test", settings=settings) == Route("smtp", "relayed.test", "x@relayed.test")
    named = RouterSettings(smart_host="lmtp:[::1]:24")
    assert routes("x@elsewhere.test", settings=named) == Route("lmtp", "[::1]:24", "x@elsewhere.test")


def test_a_domain_of_ours_may_hand_its_mailboxes_to_another_server():
    assert routes("alice@example.test", transport={"example.test": ("lmtp:[::1]:24",)}) == Route(
        "lmtp", "[::1]:24", "alice@example.test"
    )
    assert refusal("ghost@example.test", transport={"example.test": ("lmtp:[::1]:24",)}).status == "5.1.1"
    settings = RouterSettings(local_domains=("example.test",), mailbox_transport="lmtp:unix:/run/lmtp")
    assert routes("alice@example.test", settings=settings).host == "unix:/run/lmtp"


def test_an_address_literal_of_ours_is_the_first_local_domain():
    assert routes("alice@[127.0.0.1]") == Route("local", "", "alice@example.test")
    result = decide("alice@[192.0.2.7]")
    assert not result.local


# -- tricks -------------------------------------------------------------------------------------------------------


def test_a_program_file_or_list_without_parents_is_refused():
    for domain in ("|", "/", ":include:"):
        result = decide("", recipient=Recipient(Address("/bin/sh", domain)))
        assert isinstance(result, Refuse)
        assert result.reply.code == 553


def test_percent_signs_bangs_and_quoted_routes_are_unknown_users():
    for address in (
        "a%b.test@example.test", "b.test!a@example.test", '"a@b.test"@example.test', '"@x.test:a@b.test"@example.test',
        "a%b.test@[127.0.0.1]", '"|/bin/sh"@example.test', '"/etc/passwd"@example.test', "alice%example.test",
    ):  # fmt: skip
        assert refusal(address, stage="rcpt").status == "5.1.1", address


def test_the_reasons_of_a_decision_name_rule_and_place():
    question = Question(Recipient(parse_address("team@example.test")), None, "rcpt")
    directory = MemoryDirectory((ALICE,), aliases={"team": ("alice",)})
    decision = Resolver(SETTINGS).resolve(question, Tables(directory.tables()).answers())
    assert [(step.rule, step.source) for step in decision.steps] == [
        ("local domain", ""), ("alias", "aliases"), ("local domain", ""), ("account", "accounts"),
    ]  # fmt: skip
