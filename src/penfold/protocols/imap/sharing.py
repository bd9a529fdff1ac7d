"""ACL and QUOTA: who may do what with a mailbox, and how much may be kept.

Standards: RFC 4314; RFC 9208; RFC 2087
Trust: the client's.
"""

import re
from enum import StrEnum

import msgspec

from penfold.protocols.imap.grammar import MAX_NUMBER64, Cursor, refused

_RIGHTS = re.compile(rb"[a-z0-9]*\Z")


class Change(StrEnum):
    """What SETACL does with the rights it names."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


class SetAcl(msgspec.Struct, frozen=True, array_like=True):
    """SETACL. An ``identifier`` that begins with ``-`` is about negative rights."""

    mailbox: str
    identifier: str
    change: Change
    rights: str


class DeleteAcl(msgspec.Struct, frozen=True, array_like=True):
    """DELETEACL."""

    mailbox: str
    identifier: str


class GetAcl(msgspec.Struct, frozen=True, array_like=True):
    """GETACL."""

    mailbox: str


class ListRights(msgspec.Struct, frozen=True, array_like=True):
    """LISTRIGHTS."""

    mailbox: str
    identifier: str


class MyRights(msgspec.Struct, frozen=True, array_like=True):
    """MYRIGHTS."""

    mailbox: str


class GetQuota(msgspec.Struct, frozen=True, array_like=True):
    """GETQUOTA."""

    root: str


class GetQuotaRoot(msgspec.Struct, frozen=True, array_like=True):
    """GETQUOTAROOT."""

    mailbox: str


class SetQuota(msgspec.Struct, frozen=True, array_like=True):
    """SETQUOTA: limits by resource, in the resource's own unit; what is not named has no limit."""

    root: str
    limits: dict[str, int]


def _mailbox_and_identifier(cursor: Cursor) -> tuple[str, str]:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return mailbox, cursor.text_string()


def parse_setacl(cursor: Cursor) -> SetAcl:
    """Parse the arguments of SETACL."""
    mailbox, identifier = _mailbox_and_identifier(cursor)
    cursor.space()
    text = cursor.astring()
    change = {b"+": Change.ADD, b"-": Change.REMOVE}.get(text[:1], Change.REPLACE)
    rights = text[1:] if change is not Change.REPLACE else text
    if not _RIGHTS.match(rights):
        raise refused("Invalid rights")
    return SetAcl(mailbox, identifier, change, rights.decode())


def parse_deleteacl(cursor: Cursor) -> DeleteAcl:
    """Parse the arguments of DELETEACL."""
    return DeleteAcl(*_mailbox_and_identifier(cursor))


def parse_getacl(cursor: Cursor) -> GetAcl:
    """Parse the arguments of GETACL."""
    cursor.space()
    return GetAcl(cursor.mailbox())


def parse_listrights(cursor: Cursor) -> ListRights:
    """Parse the arguments of LISTRIGHTS."""
    return ListRights(*_mailbox_and_identifier(cursor))


def parse_myrights(cursor: Cursor) -> MyRights:
    """Parse the arguments of MYRIGHTS."""
    cursor.space()
    return MyRights(cursor.mailbox())


def parse_getquota(cursor: Cursor) -> GetQuota:
    """Parse the arguments of GETQUOTA."""
    cursor.space()
    return GetQuota(cursor.text_string())


def parse_getquotaroot(cursor: Cursor) -> GetQuotaRoot:
    """Parse the arguments of GETQUOTAROOT."""
    cursor.space()
    return GetQuotaRoot(cursor.mailbox())


def parse_setquota(cursor: Cursor) -> SetQuota:
    """Parse the arguments of SETQUOTA."""
    cursor.space()
    root = cursor.text_string()
    cursor.space()
    return SetQuota(root, dict(cursor.listed(lambda: _limit(cursor), empty=True)))


def _limit(cursor: Cursor) -> tuple[str, int]:
    resource = cursor.word().decode()
    cursor.space()
    return resource, cursor.number(0, MAX_NUMBER64)
