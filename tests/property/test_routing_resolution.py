"""Whatever stands in the tables and whatever is asked: routing ends, and never says more than it may."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.model import Address, Recipient, Reply
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
from penfold.routing.entries import TARGET_DOMAINS

DOWN = NotNow(Reply.of(451, "4.3.0", "down"))
SETTINGS = RouterSettings(
    local_domains=("ours.test", "too.test"),
    virtual_domains=frozenset({"virtual.test"}),
    relay_domains=frozenset({"relayed.test"}),
    literals=frozenset({"[127.0.0.1]"}),
)
OURS = ["ours.test", "too.test", "virtual.test", "[127.0.0.1]", ""]
NAMES = ["a", "b", "c", "owner-a", "postmaster", "a+x", "+", "A"]
TRICKS = [
    *(
        "a%b.test",
        "b.test!a",
        "@x.test,@y.test:a@b.test",
        "a@b.test",
        "|/bin/sh",
        "/etc/passwd",
        ":include:/etc/passwd",
    ),
    *("error:550 x", "\\a", "%1", "", " ", "a b", "@b.test", "a@[127.0.0.1]"),
]

local_parts = st.sampled_from(NAMES + TRICKS) | st.text(max_size=12)
our_addresses = st.builds(Address, local_parts, st.sampled_from(OURS))
addresses = our_addresses | st.builds(Address, local_parts, st.sampled_from(["b.test", "relayed.test", "[192.0.2.1]"]))

simple = st.sampled_from(["a", "b", "c", "\\a", "a@ours.test", "b@virtual.test", "c+y@too.test", "postmaster"])
inner_values = simple | st.sampled_from([":blackhole:", ":fail: no", ":defer: wait", "not an address", ""])
outer_values = inner_values | st.sampled_from(["x@b.test", "|/bin/prog", "/var/file", ":include:/list"])
catch_values = st.sampled_from(["%1@ours.test", "@virtual.test", "a+z@virtual.test", "%1@virtual.test"])


def found(values, source=""):
    return st.lists(values, min_size=1, max_size=4).map(lambda list_: Found(tuple(list_), source))


def tables(values):
    account = st.sampled_from([Found(("local a@ours.test",)), Found(("unix b",)), Found(("nonsense",))])
    names = st.sampled_from(["a", "b", "c", "owner-a", "postmaster", "a+x"])
    full = st.builds("{}@{}".format, names, st.sampled_from(OURS[:3]))
    keys = {
        "aliases": st.dictionaries(names.map(lambda k: Lookup("aliases", k)), found(values), max_size=6),
        "virtual": st.dictionaries(full.map(lambda k: Lookup("virtual", k)), found(inner_values), max_size=4),
        "catch": st.dictionaries(
            st.sampled_from(OURS[:3]).map(lambda k: Lookup("virtual", "@" + k)),
            found(catch_values | inner_values),
            max_size=2,
        ),
        "accounts": st.dictionaries(
            (names | full | st.just("")).map(lambda k: Lookup("accounts", k)), account, max_size=4
        ),
        "include": st.dictionaries(
            st.just(Lookup("include", "/list")), st.sampled_from(["root", "bob"]).flatmap(lambda o: found(values, o))
        ),
    }
    return st.tuples(*keys.values()).map(lambda parts: {k: v for part in parts for k, v in part.items()})


class Answering(dict):
    """Says Missing for what it has not got."""

    def get(self, lookup, default=None):
        return dict.get(self, lookup, Missing())


def resolve(address, answers, stage, parents=()):
    question = Question(Recipient(address, parents=parents), None, stage)
    return Resolver(SETTINGS).resolve(question, Answering(answers))


def ends(address, answers):
    """Dispatch to the ends, as the queue does; gives all results that are no expansion, at most 5,000 steps."""
    stack, results, steps = [Recipient(address)], [], 0
    resolver = Resolver(SETTINGS)
    while stack and steps < 5_000:
        steps += 1
        recipient = stack.pop()
        result = resolver.resolve(Question(recipient, None), Answering(answers)).result
        if isinstance(result, Expand):
            assert all(len(child.parents) <= len(recipient.parents) + 2 for child in result.recipients)
            assert all(child.original == (recipient.original or recipient.address) for child in result.recipients)
            stack.extend(result.recipients)
        else:
            results.append((recipient, result))
    return results


@settings(max_examples=300, deadline=None)
@given(addresses, tables(outer_values))
def test_every_question_is_decided_at_both_stages(address, answers):
    for stage in ("rcpt", "dispatch"):
        decision = resolve(address, answers, stage)
        assert isinstance(decision, Decision)
        assert len(decision.steps) <= 200
    assert ends(address, answers) or isinstance(resolve(address, answers, "dispatch").result, Expand)


@settings(max_examples=300, deadline=None)
@given(our_addresses, tables(inner_values))
def test_no_trick_leaves_a_local_domain_but_by_an_administrators_entry(address, answers):
    results = [result for _, result in ends(address, answers)]
    results.append(resolve(address, answers, "rcpt").result)
    for result in results:
        if isinstance(result, Deliver):
            assert result.route.mailer in {"local", "unix"}
            assert result.local


@settings(max_examples=300, deadline=None)
@given(addresses, tables(outer_values))
def test_programs_and_files_come_from_entries_only_and_keep_their_rights(address, answers):
    for recipient, result in ends(address, answers):
        if isinstance(result, Deliver) and result.route.mailer in {"pipe", "file"}:
            assert recipient.address.domain in TARGET_DOMAINS
            assert recipient.parents
            assert result.route.host == recipient.rights
            assert result.route.user in {"/bin/prog", "/var/file"}


@settings(max_examples=400, deadline=None)
@given(addresses, tables(outer_values), st.data())
def test_a_table_that_is_down_never_turns_into_a_permanent_refusal(address, answers, data):
    down = data.draw(st.sets(st.sampled_from([Lookup("accounts", "a"), *sorted(answers, key=str)]), max_size=4))
    more = data.draw(st.sets(st.sampled_from(["a", "b", "c"]).map(lambda key: Lookup("aliases", key)), max_size=2))
    broken = answers | dict.fromkeys(down | more, DOWN)
    for stage in ("rcpt", "dispatch"):
        result = resolve(address, broken, stage).result
        if isinstance(result, Refuse) and result.reply.permanent:
            whole = resolve(address, answers, stage).result
            assert isinstance(whole, Refuse)
            assert whole.reply.permanent


@settings(max_examples=200, deadline=None)
@given(addresses, tables(outer_values))
def test_answers_given_bit_by_bit_lead_to_the_same_decision(address, answers):
    for stage in ("rcpt", "dispatch"):
        known = {}
        question = Question(Recipient(address), None, stage)
        for _ in range(200):
            decision = Resolver(SETTINGS).resolve(question, known)
            if isinstance(decision, Decision):
                break
            assert isinstance(decision, Need)
            assert decision.lookups
            assert not any(lookup in known for lookup in decision.lookups)
            known |= {lookup: answers.get(lookup, Missing()) for lookup in decision.lookups}
        assert isinstance(decision, Decision)
        whole = resolve(address, answers, stage).result
        assert isinstance(decision.result, type(whole))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(OURS[:3]), st.sampled_from(["", "+x", "+"]), tables(outer_values))
def test_postmaster_is_never_refused_for_good(domain, extension, answers):
    for stage in ("rcpt", "dispatch"):
        result = resolve(Address("Postmaster" + extension, domain), answers, stage).result
        assert not (isinstance(result, Refuse) and result.reply.permanent)
