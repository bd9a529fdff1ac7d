"""Mailbox formats on disk: mbox, MMDF, MH, Maildir(++). Writers and readers are synchronous and batched."""

from penfold.formats.base import Body, Entry, MailboxReader, MailboxWriter, Message, Result, Stored, reply_of
from penfold.formats.detect import Format, detect
from penfold.formats.folders import folder_names, folder_path
from penfold.formats.maildir import Maildir, deliver_many, delivered, find_delivered, make_maildir, sweep
from penfold.formats.mbox import Mbox
from penfold.formats.mh import Mh
from penfold.formats.mmdf import Mmdf
from penfold.formats.quota import Quota

__all__ = [
    "Body",
    "Entry",
    "Format",
    "MailboxReader",
    "MailboxWriter",
    "Maildir",
    "Mbox",
    "Message",
    "Mh",
    "Mmdf",
    "Quota",
    "Result",
    "Stored",
    "deliver_many",
    "delivered",
    "detect",
    "find_delivered",
    "folder_names",
    "folder_path",
    "make_maildir",
    "reply_of",
    "sweep",
]
