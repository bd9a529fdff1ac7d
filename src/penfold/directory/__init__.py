"""Who exists: accounts, domains, aliases."""

from penfold.directory.answers import RecordedAnswers, Tables
from penfold.directory.base import Account, AnyTable, Directory, Secrets
from penfold.directory.memory import MemoryDirectory

__all__ = ["Account", "AnyTable", "Directory", "MemoryDirectory", "RecordedAnswers", "Secrets", "Tables"]
