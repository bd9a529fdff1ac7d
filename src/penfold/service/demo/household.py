"""Who lives in the demo: accounts, tables and the configuration, written as files anybody can look at and change.

``penfold.toml`` is written at every start; passwords, tables, the ``.forward`` and the program only when they are not
there, so that what was changed in a kept directory stays.
"""

import os
import re
from dataclasses import dataclass

from penfold.config.kinds import quoted
from penfold.config.write import put
from penfold.directory import passwords
from penfold.model import ConfigError

DOMAIN = "example.test"
VIRTUAL = "shop.example"
HOSTNAME = "demo.example.test"
OUTSIDE = "elsewhere.example"
OFFSETS = {
    "lmtp": 24,
    "smtp": 25,
    "submissions": 65,
    "submission": 87,
    "pop3": 10,
    "pop3s": 95,
    "imap": 43,
    "imaps": 93,
}
NOWHERE = 99  # base port + this is where mail for other hosts goes; nobody listens there
_AWKWARD = re.compile(r"[^\w./+@%=,: -]")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account: name, and the format of the mailbox."""

    login: str
    kind: str

    @property
    def address(self) -> str:
        """The address, which is the name at log-in too."""
        return f"{self.login}@{DOMAIN}"

    @property
    def password(self) -> str:
        """The password: no secret, the demo prints it."""
        return f"{self.login}-demo"


PEOPLE = (Person("alice", "maildir"), Person("bob", "maildir"), Person("carol", "mbox"))


@dataclass(frozen=True, slots=True)
class Household:
    """A directory and a base port: where all the files are, and which ports are listened at."""

    data: str
    base: int

    def port(self, door: str) -> int:
        """Tell the port of a listener."""
        return self.base + OFFSETS[door]

    @property
    def config(self) -> str:
        """The configuration file."""
        return f"{self.data}/penfold.toml"

    @property
    def notes(self) -> str:
        """The file that the program behind ``note@`` appends to."""
        return f"{self.data}/notes.txt"

    def mailbox(self, person: Person) -> str:
        """Where somebody's mail lies."""
        return f"{self.data}/mail/{DOMAIN}/{person.login}"

    def write(self) -> bool:
        """Write what is missing; tells whether the house is new. Raises ConfigError."""
        if _AWKWARD.search(self.data):
            raise ConfigError(
                f"the demo cannot live in {self.data!r}", hint="name a directory without quotes and control characters"
            )
        os.makedirs(f"{self.data}/mail/{DOMAIN}", mode=0o750, exist_ok=True)
        secrets = f"{self.data}/secrets.toml"
        new = not os.path.exists(secrets)
        if new:
            put(secrets, _secrets(), mode=0o600)
        put(self.config, self._configuration(), replace=True)
        for name, text in self._tables().items():
            if not os.path.lexists(f"{self.data}/{name}"):
                put(f"{self.data}/{name}", text)
        return new

    def _configuration(self) -> str:
        listeners = "".join(_LISTENER.format(role=role, port=self.base + offset) for role, offset in OFFSETS.items())
        accounts = "".join(_ACCOUNT.format(address=person.address, box=_box(person)) for person in PEOPLE)
        return _CONFIG.format(
            data=quoted(self.data), listeners=listeners, accounts=accounts, nowhere=self.base + NOWHERE
        )

    def _tables(self) -> dict[str, str]:
        return {
            "note.sh": _PROGRAM,
            "aliases": _ALIASES.format(data=self.data),
            "virtual": _VIRTUAL,
            f"mail/{DOMAIN}/bob.forward": f"# bob keeps his mail, and carol gets a copy\n\\bob, carol@{DOMAIN}\n",
        }


def _box(person: Person) -> str:
    return f"{person.kind}:{DOMAIN}/{person.login}"


def _secrets() -> str:
    lines = [f"{quoted(person.address)} = {quoted(passwords.make(person.password))}" for person in PEOPLE]
    return "\n".join(["# Made by penfold demo.", "[passwords]", *lines]) + "\n"


_CONFIG = f"""\
# Written by penfold demo at each start. `penfold config explain NAME` tells what an option means.
hostname = "{HOSTNAME}"
data = {{data}}
local_domains = ["{DOMAIN}"]
postmaster = "{PEOPLE[0].address}"
secrets = "secrets.toml"

[tls]
certificate = "auto"

[limits]
connections = 500

[queue]
retry = ["30s", "1m", "5m"]
dead_host = "20s"
reserve = "16MiB"

[routing]
aliases = ["aliases"]
virtual = ["virtual"]
smart_host = "[127.0.0.1]:{{nowhere}}"   # nobody is there: the demo talks to no other host, their mail waits
smart_host_tls = "opportunistic"

[delivery]
forward_for_virtual = true

[telemetry]
log = ""   # what happens is told in sentences instead

[domains."{VIRTUAL}"]
{{listeners}}{{accounts}}"""

_LISTENER = """
[listen.{role}]
role = "{role}"
addresses = ["127.0.0.1:{port}"]
"""

_ACCOUNT = """
[[account]]
address = "{address}"
mailbox = "{box}"
"""

_ALIASES = f"""\
# name: value, value
team:   alice, bob, carol
note:   "|/bin/sh '{{data}}/note.sh' '{{data}}/notes.txt'"
root:   {PEOPLE[0].login}
"""

_VIRTUAL = f"""\
# address               where it goes
info@{VIRTUAL}       {PEOPLE[0].address}
@{VIRTUAL}           {PEOPLE[2].address}
"""

_PROGRAM = """\
# Gets a message on standard input and appends a line about it to the file $1.
subject=$(sed -n '/^$/q; s/^[Ss]ubject: *//p' | head -n 1)
printf '%s wrote to %s: %s\\n' "$SENDER" "$RECIPIENT" "$subject" >> "$1"
"""
