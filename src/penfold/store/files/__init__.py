"""The store over mbox, MMDF, MH and Maildir mailboxes as they lie."""

from penfold.store.files.layout import Place
from penfold.store.files.state import Limits, Places
from penfold.store.files.store import FilesStore

__all__ = ["FilesStore", "Limits", "Place", "Places"]
