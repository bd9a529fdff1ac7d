r"""The router: ordered rules over recorded answers.

Theory of operation. ``Resolver.resolve`` makes one ``Walk`` a question. ``Walk.step`` decides one recipient by the
first rule of ``RULES`` that has an opinion. A rule asks tables with ``Walk.ask``; an answer not yet known raises
``Unanswered``, which ends the walk with a Need. A table that could not answer raises ``Unable``, which refuses with its
4yz: nothing below the rule that asked is tried, so a failed look-up can never end as "no such user".

At stage ``dispatch`` one step is the decision. At stage ``rcpt`` an expansion is followed, depth first, until one end
can be delivered; only when no end can is the address refused: 4yz if any end may still turn out well.

What ``parents`` means: the addresses expanded on the way here. An address that is its own last parent is final (a list
that names its own name, or ``\user``): no alias, straight to the mailbox. Any other repetition is a loop.

Rules for editors: percent signs, bangs and routes in local parts mean nothing here; a local part is only ever a key.
Programs, files and lists come only from entries (``expand.children``), never from a question without parents.

Standards: RFC 5321 §3.6, §3.9, §4.5.1; RFC 5233
Trust: recipients come from anywhere; tables are administrators', lists and ``rights`` are users'.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from penfold.model import Address, AddressError, Recipient, Reply, Route, parse_address
from penfold.routing.aliases import (
    FILE_DOMAIN,
    INCLUDE_DOMAIN,
    PROGRAM_DOMAIN,
    TARGET_DOMAINS,
    AliasError,
    Entry,
    File,
    Include,
    Program,
    To,
    address_text,
    entry_text,
    parse_entry,
)
from penfold.routing.base import (
    Answers,
    Decision,
    Deliver,
    Expand,
    Found,
    Lookup,
    Need,
    NotNow,
    Question,
    Refuse,
    Step,
)
from penfold.routing.expand import children, lower
from penfold.routing.rules import (
    BAD_TABLE,
    LOOP,
    NO_POSTMASTER,
    NOT_ALLOWED,
    NOT_AN_ADDRESS,
    TOO_MANY,
    UNKNOWN_USER,
    RouterSettings,
)
from penfold.routing.transport import parse_transport, smart_host_route, transport_keys

Result = Deliver | Expand | Refuse
MAX_NEED = 200  # look-ups named at once
MAX_STEPS = 200  # reasons kept of one walk


class Unanswered(Exception):
    """The answers to ``lookups`` are needed first."""

    def __init__(self, lookups: tuple[Lookup, ...]) -> None:
        super().__init__(lookups)
        self.lookups = lookups


class Unable(Exception):
    """A table could not answer, or answered nonsense: refuse with this 4yz."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


class Name(NamedTuple):
    """A local part to look for: the whole one, or the part before the extension, with the extension."""

    key: str
    extension: str


class Place(NamedTuple):
    """A recipient at a domain of ours, ready to be looked up. ``domain`` is the canonical one, in lower case."""

    recipient: Recipient
    domain: str
    names: tuple[Name, ...]
    final: bool
    aliases: bool


class Resolver:
    """Routing by tables. Immutable: one a generation of the configuration; any thread may ask."""

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.locals = frozenset(settings.local_domains)
        self.ours = self.locals | settings.virtual_domains | settings.literals | {""}
        self.separators = frozenset(settings.separator)

    def resolve(self, question: Question, answers: Answers) -> Decision | Need:
        """Decide, or name what must be looked up first. Pure; never raises for any recipient or answer."""
        walk = Walk(self, answers)
        try:
            result = walk.verify(question.recipient) if question.stage == "rcpt" else walk.step(question.recipient)
        except Unanswered as missing:
            return Need(missing.lookups)
        return Decision(result, tuple(walk.steps))

    def is_local(self, address: Address) -> bool:
        """Tell whether mail for the address ends here: a local or virtual domain, a literal of ours, or no domain."""
        return address.domain in self.ours

    def is_postmaster(self, address: Address) -> bool:
        """Tell whether the address is postmaster's, with or without an extension, at a domain of ours."""
        local = address.local
        named = local[:10].lower() == "postmaster" and (len(local) == 10 or local[10] in self.separators)
        return named and self.is_local(address)

    def place(self, recipient: Recipient) -> Place:
        """Prepare the look-ups of a recipient at a domain of ours."""
        address = recipient.address
        domain = address.domain
        if not domain or domain in self.settings.literals:
            domain = self.settings.home
        local = address.local.lower()
        parents = recipient.parents
        final = bool(parents) and parents[-1] == lower(address)
        aliases = domain not in self.settings.virtual_domains
        return Place(recipient, domain, self._names(address.local, local), final, aliases)

    def _names(self, local: str, key: str) -> tuple[Name, ...]:
        whole = Name(key, "")
        cut = min((at for at in map(key.find, self.separators) if at > 0), default=0)
        if not cut or len(key) != len(local):
            return (whole,)
        return whole, Name(key[:cut], local[cut + 1 :])


class Walk:
    """One question under way: the answers known, the reasons so far."""

    def __init__(self, resolver: Resolver, answers: Answers) -> None:
        self.resolver = resolver
        self.settings = resolver.settings
        self.answers = answers
        self.steps: list[Step] = []

    # -- asking -------------------------------------------------------------------------------------------------

    def ask(self, table: str, key: str, also: Callable[[], Iterator[Lookup]] | None = None) -> Found | None:
        """Give the values of a key, or None where it is missing.

        Raises Unanswered (with what ``also`` names beside it, to save rounds) and Unable.
        """
        if table not in self.settings.tables:
            return None
        lookup = Lookup(table, key)
        answer = self.answers.get(lookup)
        if answer is None:
            raise Unanswered((lookup, *self._unknown(lookup, also)))
        if isinstance(answer, NotNow):
            self.note(table, f"{key}: not available now ({answer.reply})")
            raise Unable(answer.reply if answer.reply.transient else BAD_TABLE)
        return answer if isinstance(answer, Found) else None

    def _unknown(self, first: Lookup, also: Callable[[], Iterator[Lookup]] | None) -> Iterator[Lookup]:
        for lookup in also() if also else ():
            if lookup != first and lookup.table in self.settings.tables and self.answers.get(lookup) is None:
                yield lookup

    def note(self, rule: str, detail: str, source: str = "") -> None:
        """Record a reason."""
        if len(self.steps) < MAX_STEPS:
            self.steps.append(Step(rule, detail, source))

    def entries(self, found: Found, rule: str, key: str) -> list[Entry]:
        """Read the values of an alias or list. Raises Unable where one is nonsense."""
        try:
            return [parse_entry(value) for value in found.values]
        except AliasError as error:
            self.note(rule, f"{key}: {error}", found.source)
            raise Unable(BAD_TABLE) from None

    # -- deciding -----------------------------------------------------------------------------------------------

    def step(self, recipient: Recipient) -> Result:
        """Decide one recipient. Raises Unanswered."""
        try:
            for rule in RULES:
                result = rule(self, recipient)
                if result is not None:
                    return self._postmaster(recipient, result)
        except Unable as failed:
            return Refuse(failed.reply, self.is_ours(recipient.address))
        raise AssertionError("the last rule decides everything")

    def is_ours(self, address: Address) -> bool:
        """Tell whether we answer for the address: a domain of ours, or a program, file or list."""
        return address.domain in self.resolver.ours or address.domain in TARGET_DOMAINS

    def _postmaster(self, recipient: Recipient, result: Result) -> Result:
        if not isinstance(result, Refuse) or not result.reply.permanent or not self._for_postmaster(recipient):
            return result
        return postmaster(self, recipient)

    def _for_postmaster(self, recipient: Recipient) -> bool:
        lineage = (recipient.address, *recipient.parents)
        return any(self.resolver.is_postmaster(address) for address in lineage)

    def verify(self, recipient: Recipient) -> Result:
        """Decide the first step, and refuse it when nothing behind it can ever be delivered."""
        first = self.step(recipient)
        if not isinstance(first, Expand) or not first.recipients:
            return first
        problem = self._ends(first.recipients)
        return first if problem is None else Refuse(problem, local=True)

    def _ends(self, recipients: tuple[Recipient, ...]) -> Reply | None:
        """Search for one deliverable end; None when there is one, else the reply that says why there is none."""
        stack = list(reversed(recipients))
        seen: set[tuple[Address, bool]] = set()
        needed: dict[Lookup, None] = {}
        problems: list[Reply] = []
        while stack and len(needed) < MAX_NEED:
            recipient = stack.pop()
            itself = lower(recipient.address)
            mark = (itself, recipient.parents[-1:] == (itself,))
            if mark in seen:
                continue
            seen.add(mark)
            if len(seen) + len(stack) > self.settings.max_recipients:
                return TOO_MANY
            try:
                result = self.step(recipient)
            except Unanswered as missing:
                needed.update(dict.fromkeys(missing.lookups))
                continue
            if isinstance(result, Refuse):
                problems.append(result.reply)
            elif isinstance(result, Deliver) or not result.recipients:
                return None
            else:
                stack.extend(reversed(result.recipients))
        if needed:
            raise Unanswered(tuple(needed))
        return _worst(problems)


def _worst(problems: list[Reply]) -> Reply:
    """Choose what the client hears: "later" before "loop" before the first other reason."""
    for problem in problems:
        if not problem.permanent:
            return problem
    if LOOP in problems or not problems:
        return LOOP
    return problems[0]


# -- the rules, in order ------------------------------------------------------------------------------------------


def target(walk: Walk, recipient: Recipient) -> Result | None:
    """A program, file or list, named by an entry; refused where nothing expanded to it."""
    domain, text = recipient.address.domain, recipient.address.local
    if domain not in TARGET_DOMAINS:
        return None
    if not recipient.parents:
        return Refuse(NOT_AN_ADDRESS)
    if domain == INCLUDE_DOMAIN:
        return None
    if domain == FILE_DOMAIN and text == "/dev/null":
        walk.note("file", "/dev/null: thrown away")
        return Deliver(Route("discard", "", text), recipient, local=True)
    mailer = "pipe" if domain == PROGRAM_DOMAIN else "file"
    walk.note(mailer, f"{text} as {recipient.rights or 'the default user'}")
    return Deliver(Route(mailer, recipient.rights, text), recipient, local=True)


def loop(walk: Walk, recipient: Recipient) -> Result | None:
    """An address among its own ancestors, or too many of them."""
    parents = recipient.parents
    if not parents:
        return None
    if len(parents) > walk.settings.max_depth or lower(recipient.address) in parents[:-1]:
        walk.note("loop", " -> ".join(str(parent) for parent in (*parents[-5:], recipient.address)))
        return Refuse(LOOP, walk.is_ours(recipient.address))
    return None


def include(walk: Walk, recipient: Recipient) -> Result | None:
    """The members of a list file, with the rights of its owner."""
    if recipient.address.domain != INCLUDE_DOMAIN:
        return None
    path = recipient.address.local
    if "include" not in walk.settings.tables:
        walk.note("include", f"{path}: lists are not allowed")
        return Refuse(NOT_ALLOWED)
    found = walk.ask("include", path)
    if found is None:
        walk.note("include", f"{path}: no such list")
        return Refuse(BAD_TABLE)
    owner = found.source
    if recipient.rights and owner != recipient.rights:
        walk.note("include", f"{path}: belongs to {owner}, not to {recipient.rights}")
        return Refuse(NOT_ALLOWED)
    members = walk.entries(found, "include", path)
    rights = "" if owner == "root" and not recipient.rights else owner
    return _expand(walk, recipient, members, rule="include", key=path, home=_home(walk, recipient), rights=rights)


def _home(walk: Walk, recipient: Recipient) -> str:
    for parent in reversed(recipient.parents):
        if parent.domain in walk.resolver.locals or parent.domain in walk.settings.virtual_domains:
            return parent.domain
    return walk.settings.home


def foreign(walk: Walk, recipient: Recipient) -> Result | None:
    """Everybody else's domain: transport table, smart host, MX."""
    address = recipient.address
    if address.domain in walk.resolver.ours:
        return None
    route = _by_transport(walk, address)
    if route is None:
        route = _default_route(walk, address)
    if isinstance(route, Reply):
        return Refuse(route, local=False)
    return Deliver(route, recipient, local=False)


def _by_transport(walk: Walk, address: Address) -> Route | Reply | None:
    keys = tuple(transport_keys(address))
    for key in keys:
        found = walk.ask("transport", key, lambda: (Lookup("transport", other) for other in keys))
        if found is not None:
            walk.note("transport", f"{key} -> {found.values[0]}", found.source)
            return parse_transport(found.values[0], address, walk.settings)
    return None


def _default_route(walk: Walk, address: Address) -> Route | Reply:
    if address.domain in walk.settings.relay_domains:
        walk.note("relay domain", address.domain)
    elif walk.settings.smart_host:
        walk.note("smart host", walk.settings.smart_host)
        return smart_host_route(address, walk.settings)
    else:
        walk.note("foreign domain", address.domain)
    return Route(walk.settings.default_mailer, address.domain, str(address))


def ours(walk: Walk, recipient: Recipient) -> Result | None:
    """A domain of ours: the rules of LOCAL_RULES in order, then "no such user"."""
    place = walk.resolver.place(recipient)
    walk.note("local domain" if place.aliases else "virtual domain", place.domain)
    for rule in LOCAL_RULES:
        result = rule(walk, place)
        if result is not None:
            return result
    walk.note("unknown user", str(recipient.address))
    return Refuse(UNKNOWN_USER)


def _likely(place: Place) -> Iterator[Lookup]:
    """Name everything a place may ask, to fetch it in one round."""
    for name in place.names:
        address = f"{name.key}@{place.domain}"
        yield Lookup("virtual", address)
        yield Lookup("accounts", address)
        if place.aliases:
            yield Lookup("aliases", name.key)
            yield Lookup("accounts", name.key)
    yield Lookup("transport", place.domain)


def virtual(walk: Walk, place: Place) -> Result | None:
    """A virtual user: an address that stands for others."""
    if place.final:
        return None
    for name in place.names:
        key = f"{name.key}@{place.domain}"
        found = walk.ask("virtual", key, lambda: _likely(place))
        if found is not None:
            return _virtual_values(walk, place, found, key, name.extension)
    return None


def _virtual_values(walk: Walk, place: Place, found: Found, key: str, extension: str) -> Result:
    local = place.recipient.address.local
    entries = walk.entries(
        Found(tuple(_substituted(value, local) for value in found.values), found.source), "virtual user", key
    )
    if any(isinstance(entry, Program | File | Include) for entry in entries):
        walk.note("virtual user", f"{key}: programs and files are not addresses", found.source)
        return Refuse(BAD_TABLE)
    if extension:
        entries = [_extended(entry, extension, walk.settings.separator) for entry in entries]
    home = walk.settings.home
    return _expand(walk, place.recipient, entries, rule="virtual user", key=key, home=home, source=found.source)


def _substituted(value: str, local: str) -> str:
    """Put the recipient's own local part where the value leaves it open: ``@other.example``, ``%1@other.example``."""
    open_at = 1 if value.startswith("@") else 3 if value.startswith("%1@") else 0
    return address_text(Address(local, value[open_at:])) if open_at else value


def _extended(entry: Entry, extension: str, separator: str) -> Entry:
    """Hand the extension on to the address a virtual user stands for."""
    if not isinstance(entry, To) or any(mark in entry.address.local for mark in separator):
        return entry
    return To(Address(entry.address.local + separator[0] + extension, entry.address.domain), entry.final)


def alias(walk: Walk, place: Place) -> Result | None:
    """An alias of the local domains; with an ``owner-`` alias beside it, that becomes the reverse-path."""
    if place.final or not place.aliases:
        return None
    for name in place.names:
        found = walk.ask("aliases", name.key, lambda: _likely(place))
        if found is not None:
            entries = walk.entries(found, "alias", name.key)
            owner = _owner(walk, name.key, place.domain)
            return _expand(
                walk,
                place.recipient,
                entries,
                rule="alias",
                key=name.key,
                home=place.domain,
                source=found.source,
                owner=owner,
            )
    return None


def _owner(walk: Walk, name: str, domain: str) -> Address | None:
    if name.startswith("owner-"):
        return None
    found = walk.ask("aliases", "owner-" + name)
    if found is None:
        return None
    walk.note("owner", f"owner-{name}@{domain} becomes the reverse-path", found.source)
    return Address("owner-" + name, domain)


def account(walk: Walk, place: Place) -> Result | None:
    """An account: by its full address, or in local domains by the login name of a Unix user."""
    for name in place.names:
        found = walk.ask("accounts", f"{name.key}@{place.domain}", lambda: _likely(place))
        if found is not None:
            return _mailbox(walk, place.recipient, place.domain, found, name.extension)
    for name in place.names if place.aliases else ():
        found = walk.ask("accounts", name.key)
        if found is not None:
            return _mailbox(walk, place.recipient, place.domain, found, name.extension)
    return None


def _mailbox(walk: Walk, recipient: Recipient, domain: str, found: Found, extension: str) -> Result:
    mailer, _, identity = found.values[0].partition(" ")
    if mailer not in {"local", "unix"} or not identity:
        walk.note("account", f"unreadable value {found.values[0]!r}", found.source)
        return Refuse(BAD_TABLE)
    walk.note("account", f"{identity} ({mailer})" + (f", extension {extension}" if extension else ""), found.source)
    elsewhere = _elsewhere(walk, recipient.address, domain)
    if isinstance(elsewhere, Reply):
        return Refuse(elsewhere)
    return Deliver(elsewhere or Route(mailer, extension, identity), recipient, local=True)


def _elsewhere(walk: Walk, address: Address, domain: str) -> Route | Reply | None:
    """Find who takes accounts' mail instead of our own delivery: a transport entry of the domain, or the setting."""
    found = walk.ask("transport", domain)
    value = found.values[0] if found else walk.settings.mailbox_transport
    if not value:
        return None
    walk.note("transport", f"{domain} -> {value}", found.source if found else "mailbox_transport")
    return parse_transport(value, address if address.domain == domain else address.with_domain(domain), walk.settings)


def postmaster_rule(walk: Walk, place: Place) -> Result | None:
    """Postmaster of a domain of ours is never unknown."""
    if not any(name.key == "postmaster" for name in place.names):
        return None
    return postmaster(walk, place.recipient)


def postmaster(walk: Walk, recipient: Recipient) -> Result:
    """Find somebody for the postmaster's mail: the configured address, or the first account."""
    named = _configured(walk)
    if named is not None and lower(named) not in {lower(recipient.address), *recipient.parents}:
        return _expand(
            walk, recipient, [To(named)], rule="postmaster", key=str(recipient.address), home=walk.settings.home
        )
    try:
        first = walk.ask("accounts", "")
    except Unable as failed:
        return Refuse(failed.reply)
    if first is None:
        walk.note("postmaster", "there is no account")
        return Refuse(NO_POSTMASTER)
    walk.note("postmaster", "the first account")
    return _mailbox(walk, recipient, walk.settings.home, first, "")


def _configured(walk: Walk) -> Address | None:
    if not walk.settings.postmaster:
        return None
    try:
        address = parse_address(walk.settings.postmaster)
    except AddressError as error:
        walk.note("postmaster", f"the setting is no address: {error}")
        return None
    return address if address.domain else address.with_domain(walk.settings.home)


def catch_all(walk: Walk, place: Place) -> Result | None:
    """The entry ``@domain`` of the virtual table, for names nobody has."""
    if place.final:
        return None
    key = "@" + place.domain
    found = walk.ask("virtual", key)
    if found is None:
        return None
    return _virtual_values(walk, place, found, key, "")


def _expand(
    walk: Walk,
    recipient: Recipient,
    entries: list[Entry],
    *,
    rule: str,
    key: str,
    home: str,
    source: str = "",
    rights: str = "",
    owner: Address | None = None,
) -> Result:
    if len(entries) > walk.settings.max_recipients:
        walk.note(rule, f"{key}: {len(entries)} entries are too many", source)
        return Refuse(TOO_MANY)
    replaced = children(recipient, entries, home=home, rights=rights, owner=owner)
    shown = ", ".join(entry_text(entry) for entry in entries[:5]) + (" …" if len(entries) > 5 else "")
    walk.note(rule, f"{key} -> {shown}", source)
    if isinstance(replaced, Reply):
        return Refuse(replaced)
    return Expand(replaced, f"{rule} {key}")


RULES: tuple[Callable[[Walk, Recipient], Result | None], ...] = (target, loop, include, foreign, ours)
LOCAL_RULES: tuple[Callable[[Walk, Place], Result | None], ...] = (virtual, alias, account, postmaster_rule, catch_all)
