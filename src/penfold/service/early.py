"""Imports what others import late, while everything can still be read.

The interpreter and its packages may lie where only root may look (a home directory of mode 700). A role that has given
up its rights can't import from there any more, and some of what it needs is imported at its first use: codecs, the
record types of DNS, tables of international names. The supervisor imports it all once; the roles it forks have it, and
share the pages.
"""

import codecs
import datetime as dt
import importlib

import idna

from penfold.model.address import ascii_domain, display_domain
from penfold.net import loop

_CODECS = ("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "idna", "punycode", "iso8859-15", "cp1252", "koi8-r")
_RECORDS = {
    "ANY": ("CNAME", "DNAME", "MX", "NS", "NSEC", "OPT", "PTR", "RRSIG", "SOA", "TLSA", "TXT"),
    "IN": ("A", "AAAA", "SRV"),
}


def import_late_things() -> None:
    """Import them."""
    loop.factory()
    for name in _CODECS:
        codecs.lookup(name)
    for group, records in _RECORDS.items():
        for record in records:
            importlib.import_module(f"dns.rdtypes.{group}.{record}")
    dt.datetime.strptime("00", "%S").replace(tzinfo=dt.UTC)
    display_domain(ascii_domain("bücher.example"))
    idna.encode("bücher.example", uts46=True)
