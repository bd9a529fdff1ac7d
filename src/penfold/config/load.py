"""Reads ``penfold.toml`` (and the secrets file) into frozen values, complete and checked for form.

What spans several options (an open relay, a listener that clashes with another) is the business of ``config.check``.

Trust: files are the administrator's; the only exception is ConfigError, with file, line and what to write instead.
"""

import os
import socket
import stat
from typing import TypeVar

import msgspec

from penfold.config.document import MAX_SIZE, Binder, Document
from penfold.config.places import Endpoint
from penfold.config.sections import Config, Listener, Secrets, Section, Tls
from penfold.model.address import AddressError, ascii_domain
from penfold.model.errors import ConfigError

S = TypeVar("S", bound=Section)
_TLS_BY_ROLE = {"submissions": "implicit", "imaps": "implicit", "pop3s": "implicit", "lmtp": "none"}


class Loaded(msgspec.Struct, frozen=True):
    """A configuration and the document it came from, for those who point at lines. ``config`` is None when unusable."""

    document: Document
    config: Config | None
    problems: tuple[ConfigError, ...] = ()


DEFAULT_PATH = "/etc/penfold/penfold.toml"


def default_path() -> str:
    """Name the configuration file used when none is given: ``$PENFOLD_CONFIG``, else the one in ``/etc``.

    SECURITY: never a file of the current directory, which may be somebody else's.
    """
    return os.environ.get("PENFOLD_CONFIG") or DEFAULT_PATH


def load(path: str, *, hostname: str = "") -> Config:
    """Read a configuration file. ``hostname`` stands in for the system's where the file names none.

    Raises ConfigError for the first thing wrong.
    """
    loaded = examine(path, hostname=hostname)
    if loaded.config is None:
        raise loaded.problems[0]
    return loaded.config


def loads(text: str, *, file: str = "penfold.toml", base: str = "/", hostname: str = "") -> Config:
    """Read a configuration from text; ``base`` is the directory relative paths start from. Raises ConfigError."""
    loaded = _examined(Document(file, text, base), hostname)
    if loaded.config is None:
        raise loaded.problems[0]
    return loaded.config


def examine(path: str, *, hostname: str = "") -> Loaded:
    """Read a configuration file and tell everything wrong with its form.

    Raises ConfigError only where there is no document: the file cannot be read or is not TOML.
    """
    return _examined(_document(path), hostname)


def load_secrets(path: str) -> Secrets:
    """Read the secrets file. Raises ConfigError, also when others than its owner may read or write it."""
    binder = Binder(_document(path, private=True))
    secrets = binder.bind(Secrets)
    if secrets is None:
        raise binder.problems[0]
    return secrets


def completed(config: Config, *, hostname: str = "") -> Config:
    """Fill in the options whose default depends on others; what is set stays."""
    name = config.hostname or hostname or system_hostname()
    tls = config.tls
    listen = config.listen or (Listener(name="smtp", addresses=(Endpoint("127.0.0.1", 25),)),)
    replace = msgspec.structs.replace
    return replace(
        config,
        hostname=name,
        local_domains=config.local_domains or (name,),
        listen=tuple(_listener(listener, tls) for listener in listen),
        delivery=replace(config.delivery, mail_root=config.delivery.mail_root or f"{config.data}/mail"),
        telemetry=replace(config.telemetry, events=config.telemetry.events or f"{config.data}/events"),
    )


def system_hostname() -> str:
    """Tell the system's name for this host, in the form of a domain."""
    try:
        return ascii_domain(socket.gethostname())
    except AddressError:
        return "localhost"


def _listener(listener: Listener, tls: Tls) -> Listener:
    if listener.tls != "by role":
        return listener
    offered = "starttls" if tls.certificate else "none"
    return msgspec.structs.replace(listener, tls=_TLS_BY_ROLE.get(listener.role, offered))


def _examined(document: Document, hostname: str) -> Loaded:
    binder = Binder(document)
    config = binder.bind(Config)
    whole = None if config is None else completed(config, hostname=hostname)
    return Loaded(document, whole, tuple(binder.problems))


def _document(path: str, *, private: bool = False) -> Document:
    try:
        with open(path, "rb") as file:
            if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError("others may read this file", file=path, hint=f"chmod 600 {path}")
            octets = file.read(MAX_SIZE + 1)
    except OSError as error:
        hint = "make one with: penfold init" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"cannot be read: {error.strerror}", file=path, hint=hint) from None
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8", file=path, line=line, hint="save the file as UTF-8") from None
    return Document(path, text.replace("\r\n", "\n"), os.path.dirname(os.path.abspath(path)))
