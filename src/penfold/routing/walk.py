"""One question under way: asking tables, recording reasons, following an expansion to its ends.

Theory of operation. ``Walk.step`` decides one recipient by the first rule that has an opinion. A rule asks tables with
``Walk.ask``; an answer not yet known raises ``Unanswered``, which ends the walk with a Need. A table that could not
answer raises ``Unable``, which refuses with its 4yz: nothing below the rule that asked is tried, so a failed look-up
can never end as "no such user".

``Walk.verify`` follows an expansion, depth first, until one end can be delivered; only when no end can is the address
refused: 4yz if any end may still turn out well.

Standards: RFC 5321 §3.9, §4.5.1
Trust: recipients are strangers' words, tables are administrators'; steps, depth and recipients of one walk are bounded.
"""

from collections.abc import Callable, Iterator, Sequence

from penfold.model import Address, Recipient, Reply
from penfold.routing.base import Answers, Deliver, Expand, Found, Lookup, NotNow, Refuse, Step
from penfold.routing.entries import AliasError, Entry, entry_text, parse_entry
from penfold.routing.expand import children, lower
from penfold.routing.place import Ground
from penfold.routing.rules import BAD_TABLE, LOOP, TOO_MANY

Result = Deliver | Expand | Refuse
Rule = Callable[["Walk", Recipient], Result | None]
Postmaster = Callable[["Walk", Recipient], Result]
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


class Walk:
    """One question under way: the answers known, the reasons so far."""

    def __init__(self, ground: Ground, answers: Answers, rules: "Sequence[Rule]", postmaster: "Postmaster") -> None:
        self.ground = ground
        self.settings = ground.settings
        self.answers = answers
        self._rules = rules
        self._find_postmaster = postmaster
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
            for rule in self._rules:
                result = rule(self, recipient)
                if result is not None:
                    return self._postmaster(recipient, result)
        except Unable as failed:
            return Refuse(failed.reply, self.ground.answers_for(recipient.address))
        raise AssertionError("the last rule decides everything")

    def _postmaster(self, recipient: Recipient, result: Result) -> Result:
        if not isinstance(result, Refuse) or not result.reply.permanent or not self._for_postmaster(recipient):
            return result
        return self._find_postmaster(self, recipient)

    def _for_postmaster(self, recipient: Recipient) -> bool:
        lineage = (recipient.address, *recipient.parents)
        return any(self.ground.is_postmaster(address) for address in lineage)

    def verify(self, recipient: Recipient) -> Result:
        """Decide the first step, and refuse it when nothing behind it can ever be delivered."""
        first = self.step(recipient)
        if not isinstance(first, Expand) or not first.recipients:
            return first
        problem = self._ends(first.recipients)
        return first if problem is None else self._postmaster(recipient, Refuse(problem, local=True))

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

    def expand(
        self,
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
        """Replace a recipient by what entries name (``expand.children``), and record it."""
        if len(entries) > self.settings.max_recipients:
            self.note(rule, f"{key}: {len(entries)} entries are too many", source)
            return Refuse(TOO_MANY)
        replaced = children(recipient, entries, home=home, rights=rights, owner=owner)
        shown = ", ".join(entry_text(entry) for entry in entries[:5]) + (" …" if len(entries) > 5 else "")
        self.note(rule, f"{key} -> {shown}", source)
        if isinstance(replaced, Reply):
            return Refuse(replaced)
        return Expand(replaced, f"{rule} {key}")


def _worst(problems: list[Reply]) -> Reply:
    """Choose what the client hears: "later" before "loop" before the first other reason."""
    for problem in problems:
        if not problem.permanent:
            return problem
    if LOOP in problems or not problems:
        return LOOP
    return problems[0]
