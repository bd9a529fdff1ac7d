"""The store in memory: every meaning of the seam, nothing on disk."""

from penfold.store.memory.state import Limits
from penfold.store.memory.store import MemoryStore

__all__ = ["Limits", "MemoryStore"]
