r"""LIST and LSUB: which mailboxes there are, whose they are, what they are for, and with STATUS what is in them.

A name above a mailbox that bears none itself is listed as \NonExistent, and \Noselect for clients that know no better.

Standards: RFC 9051 §6.3.9, §7.3.1; RFC 3501 §6.3.9; RFC 5258 §3, §4; RFC 5819; RFC 6154 §2; RFC 3348; RFC 8440;
    RFC 9590
Trust: patterns are the client's; names are shown only to those with the right to look them up.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from penfold.access.imap import metadata, sharing, status
from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import all_trees, who
from penfold.access.imap.patterns import matcher
from penfold.access.imap.places import OTHERS, Place, rights_in
from penfold.protocols.imap import responses, shared_responses
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.listing import List, Lsub
from penfold.store.names import SEPARATOR, above

_MOST: Final = 200  # lines of one piece


class Entry(NamedTuple):
    """A name that may be listed; ``place`` is None where there is no mailbox."""

    name: str
    place: Place | None
    subscribed: bool
    children: bool


async def entries(client: Client) -> list[Entry]:
    """Give all names the client may see, in order; subscriptions to what is not there are among them."""
    found: dict[str, Place | None] = {}
    subscriptions: frozenset[str] = frozenset()
    for prefix, tree in await all_trees(client):
        if not prefix:
            subscriptions = tree.subscriptions
        for box in tree.mailboxes:
            rights = rights_in(who(client), tree, box)
            if "l" in rights:
                found[prefix + box.name] = Place(tree.account, tree, prefix, box.name, box, rights)
    for name in [*found]:
        for parent in above(name):
            if parent + SEPARATOR != OTHERS and not (parent.startswith(OTHERS) and parent not in found):
                found.setdefault(parent, None)
    parents = {name.rpartition(SEPARATOR)[0] for name in found}
    for name in subscriptions:
        found.setdefault(name, None)
    return [Entry(name, found[name], name in subscriptions, name in parents) for name in found]


async def list_(client: Client, command: Command) -> "Answer | Pieces":
    """Answer LIST."""
    request: List = command.request
    if request.patterns == ("",):
        return _root(client, request)
    wanted = _wanted(client, request, await entries(client))
    lines = _Lines(client, request)
    await lines.prepare(wanted)
    return _pieces(lines.of(*each) for each in wanted)


def _root(client: Client, request: List) -> Pieces:
    """Answer the question for the separator (an empty pattern)."""
    root = OTHERS if request.reference.startswith(OTHERS) else ""
    yield responses.listed(root, SEPARATOR, ("\\Noselect",), utf8=client.utf8)
    return None


def _pieces(lines: Iterator[bytes]) -> Pieces:
    some: list[bytes] = []
    for line in lines:
        some.append(line)
        if len(some) >= _MOST:
            yield b"".join(some)
            some.clear()
    yield b"".join(some)
    return None


Chosen = tuple[Entry, tuple[str, ...]]  # an entry, and the criteria that only its children meet


def _wanted(client: Client, request: List, known: list[Entry]) -> list[Chosen]:
    matches = _matches(request.reference, request.patterns)
    del client
    met = {entry.name for entry in known if _meets(request, entry)}
    if not request.recursive:
        return [(entry, ()) for entry in known if entry.name in met and matches(entry.name)]
    criteria = tuple(
        word for word, asked in (("SUBSCRIBED", request.subscribed), ("SPECIAL-USE", request.special_use)) if asked
    )
    ancestors = {parent for name in met for parent in above(name)}
    return [
        (entry, criteria if entry.name in ancestors else ())
        for entry in known
        if matches(entry.name) and (entry.name in met or entry.name in ancestors)
    ]


def _meets(request: List, entry: Entry) -> bool:
    """Tell whether an entry is what the selection options ask for; without any, what is there."""
    if request.subscribed and not entry.subscribed:
        return False
    if request.special_use:
        return entry.place is not None and entry.place.box is not None and bool(entry.place.box.special_use)
    return request.subscribed or entry.place is not None or entry.children


def _matches(reference: str, patterns: Iterable[str]) -> Callable[[str], bool]:
    tests = [matcher(pattern.removeprefix(SEPARATOR) if not reference else reference + pattern) for pattern in patterns]
    return tests[0] if len(tests) == 1 else lambda name: any(test(name) for test in tests)


class _Lines:
    """Writes the lines of one LIST."""

    def __init__(self, client: Client, request: List) -> None:
        self._client = client
        self._request = request
        self._statuses: dict[str, bytes] = {}

    async def prepare(self, wanted: list[Chosen]) -> None:
        """Count in all mailboxes of which STATUS is asked, at once."""
        if self._request.status:
            places = [entry.place for entry, _ in wanted if entry.place is not None and "r" in entry.place.rights]
            self._statuses = await status.of_places(self._client, places, self._request.status)

    def of(self, entry: Entry, only_children: tuple[str, ...]) -> bytes:
        """Write what is to be said of one name."""
        utf8, place = self._client.utf8, entry.place
        line = responses.listed(entry.name, SEPARATOR, self._attributes(entry), utf8=utf8, child_info=only_children)
        if place is None:
            return line
        if self._request.return_myrights:
            line += shared_responses.my_rights(entry.name, sharing.with_old(place.rights), utf8=utf8)
        if self._request.metadata:
            values = metadata.values_of(self._client, place, self._request.metadata)
            line += shared_responses.metadata(entry.name, values, utf8=utf8)
        return line + self._statuses.get(entry.name, b"")

    def _attributes(self, entry: Entry) -> Iterator[str]:
        request = self._request
        if entry.place is None:
            yield "\\NonExistent"
            yield "\\Noselect"
        elif entry.place.box is not None and not entry.place.box.selectable:
            yield "\\Noselect"
        if request.return_children or not request.extended:
            yield "\\HasChildren" if entry.children else "\\HasNoChildren"
        if entry.subscribed and (request.subscribed or request.return_subscribed):
            yield "\\Subscribed"
        box = entry.place.box if entry.place else None
        if box is not None and self._client.service.settings.offers("SPECIAL-USE", "IMAP4rev2"):
            yield from box.special_use


async def lsub(client: Client, command: Command) -> "Answer | Pieces":
    """Answer LSUB. With ``%``, a name whose children are subscribed stands for them (RFC 3501 §6.3.9)."""
    request: Lsub = command.request
    matches = _matches(request.reference, (request.pattern,))
    trees = await all_trees(client)
    names = sorted(trees[0][1].subscriptions) if trees else []
    there = {box.name for box in trees[0][1].mailboxes} if trees else set()
    found: dict[str, tuple[str, ...]] = {
        name: () if name in there or name.startswith(OTHERS) else ("\\Noselect",) for name in names if matches(name)
    }
    if "%" in request.pattern:
        for name in names:
            for parent in above(name):
                if matches(parent):
                    found.setdefault(parent, ("\\Noselect",))
    return _pieces(
        responses.listed(name, SEPARATOR, flags, utf8=client.utf8, verb=b"LSUB") for name, flags in found.items()
    )


HANDLERS: dict[type, Handler] = {List: list_, Lsub: lsub}
