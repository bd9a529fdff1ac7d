"""What a store keeps of a message beside its octets: rendered once, when it comes in, and handed out as octets.

Standards: RFC 9051 §7.5.2; RFC 8970 §3; RFC 5256 §2.1, §2.2, §3; RFC 5957 §2
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from penfold.message.summary import Summary
from penfold.store.base import NO_DAY, Column, Item

Summarise: TypeAlias = Callable[[bytes], Summary]

RENDERED: Final[Mapping[Item, Callable[[Summary], bytes]]] = MappingProxyType(
    {
        Item.ENVELOPE: lambda summary: summary.envelope,
        Item.BODYSTRUCTURE: lambda summary: summary.bodystructure,
        Item.COMMON: lambda summary: summary.common,
        Item.PREVIEW: lambda summary: summary.preview,
        Item.SUBJECT: lambda summary: summary.keys.subject,
        Item.SENDER: lambda summary: summary.keys.sender,
        Item.TO: lambda summary: summary.keys.to,
        Item.CC: lambda summary: summary.keys.cc,
        Item.DISPLAY_SENDER: lambda summary: summary.keys.display_sender,
        Item.DISPLAY_TO: lambda summary: summary.keys.display_to,
        Item.MESSAGE_ID: lambda summary: summary.message_id,
        Item.ANCESTORS: lambda summary: b" ".join(summary.ancestors),
    }
)


def summary_columns(summary: Summary, internal: int) -> dict[Column, int]:
    """Give the columns that come from the octets; the internal date stands in for a Date that cannot be read."""
    return {
        Column.SENT: internal if summary.sent is None else summary.sent,
        Column.DAY: NO_DAY if summary.sent_day is None else summary.sent_day,
        Column.SIZE: summary.size,
        Column.HEADER: summary.header,
        Column.ANSWER: int(summary.keys.answer),
    }
