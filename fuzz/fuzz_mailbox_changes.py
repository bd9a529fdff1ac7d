"""Whatever names, flags, rights and annotations a client sends, a store answers with a result, and stays sound."""

import asyncio
from collections.abc import Iterator
from random import Random

from penfold.message.summary import summary
from penfold.store import (
    EVERY,
    AccountId,
    Annotation,
    Append,
    Change,
    Create,
    CreateAccount,
    Delete,
    How,
    Message,
    Refused,
    Rename,
    SetAcl,
    SetMetadata,
    StoreFlags,
    Subscribe,
    Tree,
)
from penfold.store.memory import MemoryStore
from penfold.store.names import mailbox_name

SEEDS = [
    b"c a/b\nr a z\nf \\Seen $Junk\na bob lrs\nm /shared/comment x\nd z/b",
    b"c inbox/x\nr INBOX old\ns never\nd INBOX\nc \xff/..",
    b"p Subject: x\nf k\na -eve q\nm /private/a//b y\nr a a/b\nc e\xcc\x81",
]
ADA = AccountId("a")


def target(data: bytes) -> None:
    """Read each line as a change: its letter, then words."""
    text = data.decode("utf-8", "surrogateescape")
    asyncio.run(_apply(text.split("\n")[:100]))


async def _apply(lines: list[str]) -> None:
    store = MemoryStore(clock=lambda: 1000.0, random=Random(1).randbytes, summarise=summary)
    (created,) = await store.apply([CreateAccount(ADA)])
    assert not isinstance(created, Refused)
    changes = [change for line in lines for change in _change(line, created.mailbox)]
    results = await store.apply(changes)
    assert len(results) == len(changes)
    tree = await store.tree(ADA)
    assert isinstance(tree, Tree)
    for name in (*(box.name for box in tree.mailboxes), *tree.subscriptions):
        assert mailbox_name(name) == name
    assert len(tree.keywords) <= 59


def _change(line: str, inbox) -> Iterator[Change]:
    words = line[1:].split(" ")[1:]
    one, two = (*words, "", "")[:2]
    match line[:1]:
        case "c":
            yield Create(ADA, one)
        case "d":
            yield Delete(ADA, one)
        case "r":
            yield Rename(ADA, one, two)
        case "s":
            yield Subscribe(ADA, one)
        case "f":
            yield StoreFlags(ADA, inbox, EVERY, How.REPLACE, tuple(words))
        case "a":
            yield SetAcl(ADA, inbox, one, two, How.ADD)
        case "m":
            user = "ada" if one.startswith("/private") else ""
            yield SetMetadata(ADA, inbox, (Annotation(one, two.encode("utf-8", "replace"), user),))
        case "p":
            yield Append(ADA, inbox, (Message(line.encode("utf-8", "surrogateescape")),))
