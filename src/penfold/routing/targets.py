"""Rules for what is no mailbox: programs, files, lists; and the guard against loops.

SECURITY: programs, files and lists come only from entries (``expand.children``), never from a question without parents.

Trust: what a list file names is its owner's word, and gets that owner's rights.
"""

from penfold.model import Recipient, Route
from penfold.routing.base import Deliver, Refuse
from penfold.routing.entries import FILE_DOMAIN, INCLUDE_DOMAIN, PROGRAM_DOMAIN, TARGET_DOMAINS
from penfold.routing.expand import lower
from penfold.routing.rules import BAD_TABLE, LOOP, NOT_ALLOWED, NOT_AN_ADDRESS
from penfold.routing.walk import Result, Walk


def target(walk: Walk, recipient: Recipient) -> Result | None:
    """A program, file or list, named by an entry; refused where nothing expanded to it."""
    domain, text = recipient.address.domain, recipient.address.local
    if domain not in TARGET_DOMAINS:
        return None
    if not recipient.parents:
        return Refuse(NOT_AN_ADDRESS)
    if domain == INCLUDE_DOMAIN:
        return None
    if domain == FILE_DOMAIN and text == "/dev/null":
        walk.note("file", "/dev/null: thrown away")
        return Deliver(Route("discard", "", text), recipient, local=True)
    mailer = "pipe" if domain == PROGRAM_DOMAIN else "file"
    walk.note(mailer, f"{text} as {recipient.rights or 'the default user'}")
    return Deliver(Route(mailer, recipient.rights, text), recipient, local=True)


def loop(walk: Walk, recipient: Recipient) -> Result | None:
    """An address among its own ancestors, or too many of them."""
    parents = recipient.parents
    if not parents:
        return None
    if len(parents) > walk.settings.max_depth or lower(recipient.address) in parents[:-1]:
        walk.note("loop", " -> ".join(str(parent) for parent in (*parents[-5:], recipient.address)))
        return Refuse(LOOP, walk.ground.answers_for(recipient.address))
    return None


def include(walk: Walk, recipient: Recipient) -> Result | None:
    """The members of a list file, with the rights of its owner."""
    if recipient.address.domain != INCLUDE_DOMAIN:
        return None
    path = recipient.address.local
    if "include" not in walk.settings.tables:
        walk.note("include", f"{path}: lists are not allowed")
        return Refuse(NOT_ALLOWED)
    found = walk.ask("include", path)
    if found is None:
        walk.note("include", f"{path}: no such list")
        return Refuse(BAD_TABLE)
    owner = found.source
    if recipient.rights and owner != recipient.rights:
        walk.note("include", f"{path}: belongs to {owner}, not to {recipient.rights}")
        return Refuse(NOT_ALLOWED)
    members = walk.entries(found, "include", path)
    rights = "" if owner == "root" and not recipient.rights else owner
    return walk.expand(recipient, members, rule="include", key=path, home=walk.ground.home(recipient), rights=rights)
