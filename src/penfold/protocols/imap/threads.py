"""Threads on the way out: trees of messages as the nested lists of a THREAD response.

Standards: RFC 5256 §4
Trust: the shape of the trees is the senders' doing: chains of any length, so nothing here recurses.
"""

from collections.abc import Iterable, Mapping, Sequence


def thread_lists(roots: Iterable[int], children: Mapping[int, Sequence[int]]) -> bytes:
    """Write trees: nodes are message numbers or UIDs; one below 1 stands for a message that is not there."""
    parts: list[bytes] = []
    for root in roots:
        if root > 0 and root not in children:
            parts.append(b"(%d)" % root)
        else:
            _write(root, children, parts)
    return b"".join(parts)


def _write(root: int, children: Mapping[int, Sequence[int]], parts: list[bytes]) -> None:
    todo: list[int | None] = [root]  # None closes a list
    while todo:
        node = todo.pop()
        if node is None:
            parts.append(b")")
            continue
        chain, branches = _chain(node, children)
        parts.append(b"(" + b" ".join([b"%d" % number for number in chain]))
        if branches and chain:
            parts.append(b" ")
        todo.append(None)
        todo.extend(reversed(branches))


def _chain(node: int, children: Mapping[int, Sequence[int]]) -> tuple[list[int], Sequence[int]]:
    """Follow only children; returns the messages on the way and the children where the tree branches."""
    chain = [node] if node > 0 else []
    below = children.get(node, ())
    while len(below) == 1:
        node = below[0]
        if node > 0:
            chain.append(node)
        below = children.get(node, ())
    return chain, below
