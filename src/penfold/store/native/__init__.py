"""The native store: the embedded default, one log for many accounts, read by mapping."""

from penfold.store.native.reader import NativeReader
from penfold.store.native.state import Limits
from penfold.store.native.store import NativeStore
from penfold.store.native.writer import Writer

__all__ = ["Limits", "NativeReader", "NativeStore", "Writer"]
