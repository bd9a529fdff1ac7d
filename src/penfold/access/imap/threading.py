"""Threads: messages as trees, by what they say they answer, or by their subjects.

The algorithm is Jamie Zawinski's as the standard has it: every message id that is named gets a node, whether there is
such a message or not; who names whom ties nodes together; nodes without a message are then taken out where they join
nothing.

Standards: RFC 5256 §3 (ORDEREDSUBJECT, REFERENCES); RFC 5256 §2.1, §2.2
Trust: ids and subjects are the senders'. Nothing recurses; a tie that would make a loop, or whose check would take more
    than MOST_STEPS steps, is not made.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MOST_STEPS: Final = 1000

Trees = tuple[list[int], dict[int, list[int]]]  # roots, and children by node; a node below 1 stands for no message


class Letter(NamedTuple):
    """A message: ``name`` is what the answer calls it; ``ancestors`` come in order, the parent last."""

    name: int
    sent: int
    came: int
    subject: bytes
    answer: bool
    id: bytes
    ancestors: list[bytes]


def by_subject(letters: Iterable[Letter]) -> Trees:
    """ORDEREDSUBJECT: the first message of a subject, and all others of it as its children."""
    groups: dict[bytes, list[Letter]] = {}
    for letter in sorted(letters, key=lambda each: (each.sent, each.name)):
        groups.setdefault(letter.subject, []).append(letter)
    children = {group[0].name: [letter.name for letter in group[1:]] for group in groups.values() if len(group) > 1}
    return [group[0].name for group in groups.values()], children


def by_references(letters: list[Letter], *, subjects: bool) -> Trees:
    """REFERENCES, and without ``subjects`` REFS, whose threads are ordered by the newest message of each."""
    forest = _Forest()
    for letter in letters:
        forest.add(letter)
    forest.prune()
    if subjects:
        forest.sort()
        forest.gather()
        forest.sort()
    else:
        forest.sort(newest=True)
    return forest.roots, {node: below for node, below in forest.children.items() if below}


class _Forest:
    """Nodes by number: that of a message, or a negative one where there is none."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.children: dict[int, list[int]] = {}
        self._parent: dict[int, int] = {}
        self._letters: dict[int, Letter] = {}
        self._by_id: dict[bytes, int] = {}
        self._empty = 0

    # -- step 1: who answers whom

    def add(self, letter: Letter) -> None:
        node = self._claim(letter)
        before = 0
        for ancestor in letter.ancestors:
            named = self._named(ancestor)
            if before and named not in self._parent:
                self._tie(before, named)
            before = named
        if before:
            self._cut(node)
            self._tie(before, node)

    def _claim(self, letter: Letter) -> int:
        """Give a message its node: the one that waits for its id, unless another message has it already."""
        node = letter.name
        waiting = self._by_id.get(letter.id) if letter.id else None
        self._letters[node] = letter
        if letter.id and waiting is None:
            self._by_id[letter.id] = node
        elif waiting is not None and waiting < 0:
            self._by_id[letter.id] = node
            self._rename(waiting, node)
        return node

    def _rename(self, old: int, new: int) -> None:
        below = self.children.pop(old, [])
        self.children[new] = below
        for child in below:
            self._parent[child] = new
        parent = self._parent.pop(old, 0)
        if parent:
            self._parent[new] = parent
            siblings = self.children[parent]
            siblings[siblings.index(old)] = new

    def _named(self, id_: bytes) -> int:
        node = self._by_id.get(id_)
        if node is None:
            node = self._by_id[id_] = self._new()
        return node

    def _new(self) -> int:
        self._empty -= 1
        return self._empty

    def _tie(self, parent: int, child: int) -> None:
        if parent == child or (self.children.get(child) and self._is_above(child, parent)):
            return
        self._parent[child] = parent
        self.children.setdefault(parent, []).append(child)

    def _is_above(self, node: int, below: int) -> bool:
        for _ in range(MOST_STEPS):
            if below == node:
                return True
            if below not in self._parent:
                return False
            below = self._parent[below]
        return True

    def _cut(self, node: int) -> None:
        parent = self._parent.pop(node, 0)
        if parent:
            self.children[parent].remove(node)

    # -- steps 2 and 3: nodes without a message go where they join nothing

    def prune(self) -> None:
        known = [*self._letters, *(node for node in self._by_id.values() if node < 0)]
        self.roots = [node for node in known if node not in self._parent]
        for node in self._bottom_up():
            below = self.children.get(node)
            if below:
                self.children[node] = [each for child in below for each in self._kept(child)]
        self.roots = [each for root in self.roots for each in self._kept(root, root=True)]
        self._parent.clear()

    def _kept(self, node: int, *, root: bool = False) -> list[int]:
        if node > 0:
            return [node]
        below = self.children.get(node, [])
        if root and len(below) > 1:
            return [node]
        self.children.pop(node, None)
        return below

    def _bottom_up(self) -> Iterator[int]:
        """Give the nodes with children, each after those below it."""
        children = self.children
        order: list[int] = []
        todo = [root for root in self.roots if root in children]
        while todo:
            node = todo.pop()
            order.append(node)
            todo += [child for child in children[node] if child in children]
        return reversed(order)

    # -- steps 4 and 6: order

    def sort(self, *, newest: bool = False) -> None:
        when = {name: (letter.sent, name) for name, letter in self._letters.items()}
        latest = {name: letter.came for name, letter in self._letters.items()} if newest else {}
        for node in self._bottom_up():
            below = self.children[node]
            if not below:
                continue
            if len(below) > 1:
                below.sort(key=when.__getitem__)
            if node < 0:
                when[node] = when[below[0]]
            if newest:
                latest[node] = max(latest.get(node, 0), *(latest[child] for child in below))
        self.roots.sort(key=(lambda root: (latest[root], when[root])) if newest else when.__getitem__)

    # -- step 5: threads of one subject

    def gather(self) -> None:
        letters, table = self._letters, dict[bytes, int]()
        subjects = [letters[root if root > 0 else self.children[root][0]].subject for root in self.roots]
        for root, subject in zip(self.roots, subjects, strict=True):
            other = table.setdefault(subject, root)
            if other == root:
                continue
            if (root < 0 < other) or (other > 0 and root > 0 and self._answers(other) and not self._answers(root)):
                table[subject] = root
        gone: set[int] = set()
        made: list[int] = []
        for root, subject in zip(self.roots, subjects, strict=True):
            if subject and table[subject] != root:
                self._merge(table, subject, root, gone, made)
        if gone:
            self.roots = [root for root in (*self.roots, *made) if root not in gone]

    def _answers(self, node: int) -> bool:
        return self._letters[node].answer

    def _merge(self, table: dict[bytes, int], subject: bytes, root: int, gone: set[int], made: list[int]) -> None:
        other = table[subject]
        gone.add(root)
        if other < 0:
            self.children[other].extend(self.children.pop(root) if root < 0 else [root])
        elif root > 0 and self._answers(root) and not self._answers(other):
            self.children.setdefault(other, []).append(root)
        else:
            both = table[subject] = self._new()
            self.children[both] = [other, *([root] if root > 0 else self.children.pop(root))]
            gone.add(other)
            made.append(both)
