"""A directory in memory: the reference driver, and what other drivers that know all their accounts build on."""

from collections.abc import Iterable, Mapping

from penfold.directory.base import Account, AnyTable, MappingTable
from penfold.model import ConfigError


class MemoryDirectory:
    """Accounts, aliases and virtual users given by the caller.

    ``aliases`` and ``virtual`` map keys to entries in canonical text (``routing.aliases``). ``postmaster`` is the
    account that the key ``""`` stands for; by default the first one. Raises ConfigError when two accounts claim one
    address.
    """

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        *,
        aliases: Mapping[str, tuple[str, ...]] | None = None,
        virtual: Mapping[str, tuple[str, ...]] | None = None,
        transport: Mapping[str, tuple[str, ...]] | None = None,
        source: str = "accounts",
    ) -> None:
        self._accounts: dict[str, Account] = {}
        self.all = tuple(accounts)
        for account in self.all:
            self._enter(account)
        values = {key: (account.answer,) for key, account in self._accounts.items()}
        if self.all:
            values[""] = (self.all[0].answer,)
        self._tables: dict[str, AnyTable] = {"accounts": MappingTable("accounts", values, source)}
        for name, given in (("aliases", aliases), ("virtual", virtual), ("transport", transport)):
            if given is not None:
                lowered = {key.lower(): value for key, value in given.items()}
                self._tables[name] = MappingTable(name, lowered)

    def _enter(self, account: Account) -> None:
        for key in (account.id, *account.aliases):
            other = self._accounts.setdefault(key.lower(), account)
            if other is not account:
                raise ConfigError(
                    f"both {other.id} and {account.id} have the address {key}", hint="give every address to one account"
                )

    def account(self, key: str) -> Account | None:
        """Find an account by id or further address."""
        return self._accounts.get(key.lower())

    def tables(self) -> Mapping[str, AnyTable]:
        """Give the router's tables."""
        return self._tables
