"""Writes a first ``penfold.toml``: small, commented, and such that ``penfold config check`` has nothing against it.

Durability: files are made with O_EXCL and synced; one that is there already is never written over unless asked.
"""

import os

import msgspec

from penfold.config.kinds import quoted
from penfold.model.errors import ConfigError


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What ``penfold init`` asks for. ``passwords`` are (address, hash) for the secrets file."""

    hostname: str
    data: str
    listen: tuple[str, ...]
    local_domains: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    postmaster: str = ""
    smart_host: str = ""
    certificate: str = ""
    key: str = ""
    submission: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    passwords: tuple[tuple[str, str], ...] = ()
    secrets: str = ""


def compose(answers: Answers) -> str:
    """Write the text of the configuration file."""
    parts = [_top(answers), _listeners(answers), _tls(answers), _RELAY, _routing(answers), _people(answers)]
    return "\n".join(part for part in parts if part)


def compose_secrets(answers: Answers) -> str:
    """Write the text of the secrets file."""
    lines = ["# Password hashes. Keep this file private: mode 0600, owned by the user of role auth.", "[passwords]"]
    lines += [f"{quoted(address)} = {quoted(hashed)}" for address, hashed in answers.passwords]
    return "\n".join(lines) + "\n"


def put(path: str, text: str, *, mode: int = 0o644, replace: bool = False) -> None:
    """Make a file with this text, durable on return. Raises ConfigError when it is there already or cannot be made."""
    temporary = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            if replace:
                os.rename(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except FileExistsError:
        raise ConfigError("is there already", file=path, hint="--force writes it anew") from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=path) from None


def _list(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(quoted(item) for item in items) + "]"


def _top(answers: Answers) -> str:
    lines = [
        "# Penfold's configuration. `penfold config explain NAME` tells what an option means,",
        "# `penfold config check` whether this file can be used, `penfold config show` what is in force.",
        "",
        f"hostname = {quoted(answers.hostname)}",
        f"data = {quoted(answers.data)}              # queue, event log and mailboxes",
    ]
    if answers.local_domains:
        lines.append(f"local_domains = {_list(answers.local_domains)}")
    if answers.postmaster:
        lines.append(f"postmaster = {quoted(answers.postmaster)}")
    else:
        lines.append('# postmaster = "you@example.org"   # until then the first account gets it')
    if answers.secrets:
        lines.append(f"secrets = {quoted(answers.secrets)}      # password hashes, mode 0600")
    return "\n".join(lines) + "\n"


def _listeners(answers: Answers) -> str:
    lines = [
        "[listen.smtp]                        # mail from other hosts",
        f"addresses = {_list(answers.listen)}",
    ]
    if all(place.startswith(("127.", "[::1]", "unix:")) for place in answers.listen):
        lines.append('# This machine only. For the world: addresses = ["0.0.0.0:25", "[::]:25"]')
    if answers.submission:
        lines += [
            "",
            "[listen.submissions]                 # mail from our own users, who log in",
            'role = "submissions"',
            f"addresses = {_list(answers.submission)}",
        ]
    return "\n".join(lines) + "\n"


_NO_TLS = """\
# [tls]                              # without a certificate nothing is encrypted
# certificate = "/etc/penfold/tls/fullchain.pem"
# key = "/etc/penfold/tls/privkey.pem"
"""
_RELAY = """\
[relay]                              # who may send to other people's domains, beside users who log in
networks = []                        # nobody; your own network would be ["192.0.2.0/24"]
"""
_NO_SMART_HOST = """\
# [routing]                          # to send all outgoing mail through your provider:
# smart_host = "[smtp.provider.example]:587"
"""


def _tls(answers: Answers) -> str:
    if not answers.certificate:
        return _NO_TLS
    lines = ["[tls]", f"certificate = {quoted(answers.certificate)}"]
    if answers.key:
        lines.append(f"key = {quoted(answers.key)}")
    return "\n".join(lines) + "\n"


def _routing(answers: Answers) -> str:
    if not answers.smart_host:
        return _NO_SMART_HOST
    heading = "[routing]                            # the way of all outgoing mail"
    return f"{heading}\nsmart_host = {quoted(answers.smart_host)}\n"


def _people(answers: Answers) -> str:
    lines = [f"[domains.{quoted(name)}]" for name in answers.domains]
    for address in answers.accounts:
        lines += ["", "[[account]]", f"address = {quoted(address)}"]
    return "\n".join(lines).strip() + "\n" if lines else ""
