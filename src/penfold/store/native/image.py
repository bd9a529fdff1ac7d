"""The tree of an account as one value: what changes seldom is written whole.

Images are appended to the account's file ``tree.G``; slot 0 names the newest. A file grown long is left for the next.
"""

from typing import Final

import msgspec

from penfold.store.change import Annotation, MailboxId, Quota
from penfold.store.rights import Ace

KEEP: Final = 1 << 16  # octets of older images that are left to lie, beside eight times the newest


class BoxImage(msgspec.Struct, frozen=True, array_like=True):
    """A mailbox; ``slot`` is where its counts are, ``deleted`` when it was, 0 while it is there."""

    id: MailboxId
    slot: int
    name: str
    created: int
    deleted: int = 0
    special_use: tuple[str, ...] = ()
    acl: tuple[Ace, ...] = ()
    annotations: tuple[Annotation, ...] = ()


class Image(msgspec.Struct, frozen=True, array_like=True):
    """An account. ``key`` keeps those who choose message ids from choosing places in the account's table."""

    boxes: tuple[BoxImage, ...]
    subscriptions: tuple[str, ...]
    keywords: tuple[str, ...]
    limits: Quota
    annotations: tuple[Annotation, ...]
    first_uidvalidity: int
    adopted: tuple[int, ...]
    key: bytes
    slots: int


encode_image = msgspec.msgpack.Encoder().encode
decode_image = msgspec.msgpack.Decoder(Image).decode
