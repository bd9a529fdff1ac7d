"""What the administrator says about routing, as one frozen value, and the replies routing gives.

Standards: RFC 5321 §4.5.1 (postmaster); RFC 5233 (sub-addresses); RFC 3463
Trust: the administrator's configuration, checked before it comes here.
"""

import msgspec

from penfold.model import Reply

ALL_TABLES = frozenset({"accounts", "aliases", "virtual", "transport", "include"})


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one generation of the configuration; domains are A-labels in lower case.

    ``local_domains``: ours, with aliases, accounts and Unix users; the first completes unqualified names.
    ``virtual_domains``: ours, with the virtual table and accounts only: no aliases, no Unix users.
    ``relay_domains``: somebody else's that we carry mail to, by transport entry or MX, never by the smart host.
    ``literals``: address literals (``[192.0.2.1]``) that mean this host.
    ``separator``: characters that begin an extension (``alice+lists``); empty for none.
    ``postmaster``: who gets postmaster's mail where no table names him; empty for the first account.
    ``smart_host``: next hop of all other foreign mail (``host``, ``host:port``, ``[host]:port``); empty for MX.
    ``default_mailer``: the way out that foreign mail takes where no transport entry names one.
    ``mailbox_transport``: ``mailer:host`` that takes the mail of accounts instead of our own delivery; empty for ours.
    ``mailers``: the ways out a transport entry may name.
    ``tables``: which tables exist at all; the others are never asked.
    ``max_depth``, ``max_recipients``: bounds of one expansion, in steps and recipients.
    """

    local_domains: tuple[str, ...] = ()
    virtual_domains: frozenset[str] = frozenset()
    relay_domains: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()
    separator: str = "+"
    postmaster: str = ""
    smart_host: str = ""
    default_mailer: str = "smtp"
    mailbox_transport: str = ""
    mailers: frozenset[str] = frozenset({"local", "unix", "smtp", "lmtp", "pipe", "error", "discard"})
    tables: frozenset[str] = ALL_TABLES
    max_depth: int = 50
    max_recipients: int = 10_000

    @property
    def home(self) -> str:
        """The domain that completes unqualified names; ``localhost`` where there is no local domain."""
        return self.local_domains[0] if self.local_domains else "localhost"


UNKNOWN_USER = Reply.of(550, "5.1.1", "No such user here")
LOOP = Reply.of(554, "5.4.6", "Alias loop: the address leads back to itself")
TOO_MANY = Reply.of(451, "4.3.5", "The alias expands to too many recipients")
BAD_TABLE = Reply.of(451, "4.3.5", "A routing table here is in error")
NO_POSTMASTER = Reply.of(451, "4.3.5", "No mailbox is configured for the postmaster")
NOT_ALLOWED = Reply.of(550, "5.7.1", "Programs, files and included lists are not allowed here")
NOT_AN_ADDRESS = Reply.of(553, "5.1.3", "Programs and files are not addresses")
