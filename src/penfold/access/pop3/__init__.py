"""POP3 over the store: the pump between the protocol core and an account's INBOX."""

from penfold.access.pop3.bulletin import Board
from penfold.access.pop3.journal import Journal
from penfold.access.pop3.lock import MemoryLocks, RangeLocks
from penfold.access.pop3.office import FULL, Holder, PostOffice, timestamps
from penfold.access.pop3.policy import ClearText, Habits, offered
from penfold.access.pop3.session import Pop3Session

__all__ = [
    "FULL",
    "Board",
    "ClearText",
    "Habits",
    "Holder",
    "Journal",
    "MemoryLocks",
    "Pop3Session",
    "PostOffice",
    "RangeLocks",
    "offered",
    "timestamps",
]
