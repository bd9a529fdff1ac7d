r"""Addresses in header fields: mailboxes, groups, comments and the obsolete forms people still send.

The text is cut into tokens by one regular expression (comments by a counter, so that nesting costs no recursion), and a
small machine puts mailboxes together. Each mailbox knows where its local part and domain stand in the octets, so that
masquerading can replace a domain and touch nothing else. Encoded words are left as they are: they are never addresses.

This module needs nothing but ``re``, so that short-lived commands can use it.

Standards: RFC 5322 §3.4, §3.4.1, §4.4; RFC 6532 §3.2
Trust: parses octets from anybody; linear time, at most ``limit`` mailboxes; what is no address is in ``bad``.
"""

import re
from itertools import pairwise
from typing import NamedTuple

MAX_MAILBOXES = 10_000

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]++)
    |(?P<quoted>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))
    |(?P<literal>\[(?:[^\[\]\\]|\\.)*+\])
    |(?P<comment>\()
    |(?P<special>[<>:;@,])
    |(?P<atom>[^ \t\r\n()<>\[\]:;@\\,"]++)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_STEP = re.compile(r"[()]|\\.", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SPACES = re.compile(r"[ \t\r\n]+")


class Token(NamedTuple):
    """A piece of the text: ``kind`` is a group name of the token expression (``special`` excepted: the character)."""

    kind: str
    text: str
    start: int
    end: int


class Mailbox(NamedTuple):
    """A mailbox. ``domain`` is as written, ``""`` for an unqualified name; the spans are octet offsets in the value."""

    name: str
    local: str
    domain: str
    group: str = ""
    local_span: tuple[int, int] = (0, 0)
    domain_span: tuple[int, int] = (0, 0)


class AddressList(NamedTuple):
    """What a value holds: its mailboxes in order, the texts that are none, and whether there were too many."""

    mailboxes: tuple[Mailbox, ...]
    bad: tuple[str, ...] = ()
    overflow: bool = False


def parse_list(value: bytes, limit: int = MAX_MAILBOXES) -> AddressList:
    """Parse the value of To, Cc, From and their kin (folded or not)."""
    found = _Mailboxes(limit)
    assemble(value, found)
    return AddressList(tuple(found.mailboxes[:limit]), tuple(found.bad[:limit]), found.full)


def assemble(value: bytes, assembler: "Assembler") -> None:
    """Cut a value into tokens and let the assembler make of them what it is for, until it is full."""
    # Latin-1 keeps one character an octet, so offsets are octets; texts become UTF-8 at the end.
    text = value.decode("latin-1")
    at = 0
    while at < len(text) and not assembler.full:
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative takes anything
        kind = match.lastgroup or "other"
        end = _comment_end(text, at) if kind == "comment" else match.end()
        if kind != "space":
            assembler.take(Token(match[0] if kind == "special" else kind, text[at:end], at, end))
        at = end
    assembler.finish()


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for match in _COMMENT_STEP.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


class Assembler:
    """Collects tokens until a separator says what they were; what they were is for the class below it to keep."""

    full = False

    def __init__(self) -> None:
        self._in_group = False
        self._words: list[Token] = []
        self._angle: list[Token] | None = None
        self.route: list[Token] = []
        self._closed = False
        self._comment = ""

    def address(self, tokens: list[Token], words: list[Token], comment: str) -> None:
        """Take an address: its tokens, the phrase in front of it, the inside of the first comment."""
        raise NotImplementedError

    def open_group(self, words: list[Token]) -> None:
        """Take the name of a group; what follows is in it."""

    def close_group(self) -> None:
        """Leave the group."""

    def take(self, token: Token) -> None:
        """Take the next token."""
        if token.kind == "comment":
            self._comment = self._comment or token.text[1:].removesuffix(")")
        elif self._angle is not None and not self._closed:
            self._in_angle(token)
        elif token.kind == "<":
            self._angle = []
        elif token.kind == ",":
            self._flush()
        elif token.kind == ";":
            self._flush()  # QUIRK: outside a group it is Outlook's separator
            self._leave()
        elif token.kind == ":" and self._opens_group():
            self._in_group = True
            self.open_group(self._words)
            self._words, self._comment = [], ""
        else:
            self._words.append(token)

    def finish(self) -> None:
        """Take the end of the value."""
        self._flush()
        self._leave()

    def _opens_group(self) -> bool:
        return not self._in_group and self._angle is None and all(word.kind != "@" for word in self._words)

    def _leave(self) -> None:
        if self._in_group:
            self._in_group = False
            self.close_group()

    def _in_angle(self, token: Token) -> None:
        assert self._angle is not None
        if token.kind == ">":
            self._closed = True
        elif token.kind == ":":
            # A source route ends here: RFC 5322 §4.4 says to ignore it.
            self._angle, self.route = [], self._angle
        else:
            self._angle.append(token)

    def _flush(self) -> None:
        words, angle, comment = self._words, self._angle, self._comment
        if words or angle is not None:
            self.address(words if angle is None else angle, words if angle is not None else [], comment)
        self._words, self._angle, self._closed, self._comment, self.route = [], None, False, "", []


class _Mailboxes(Assembler):
    """Keeps the mailboxes, each with the name of its group, and apart from them what is none."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.mailboxes: list[Mailbox] = []
        self.bad: list[str] = []
        self._limit = limit
        self._group = ""

    def open_group(self, words: list[Token]) -> None:
        self._group = _phrase(words)

    def close_group(self) -> None:
        self._group = ""

    def address(self, tokens: list[Token], words: list[Token], comment: str) -> None:
        if not tokens:
            return
        mailbox = _mailbox(tokens, _phrase(words) or _utf8(comment).strip(), self._group)
        if mailbox is None:
            self.bad.append(_utf8(" ".join(token.text for token in tokens[:20]))[:200])
        else:
            self.mailboxes.append(mailbox)
        self.full = len(self.mailboxes) + len(self.bad) > self._limit


def halves(tokens: list[Token]) -> tuple[list[Token], list[Token]] | None:
    """Cut an address at its last "@" into local part and domain (none: empty); None if it is no address."""
    at = next((number for number in reversed(range(len(tokens))) if tokens[number].kind == "@"), len(tokens))
    local, domain = tokens[:at], tokens[at + 1 :]
    if not local or not _joined(local) or (at < len(tokens) and not (domain and _joined(domain))):
        return None
    return local, domain


def _mailbox(tokens: list[Token], name: str, group: str) -> Mailbox | None:
    cut = halves(tokens)
    if cut is None:
        return None
    local, domain = cut
    end = local[-1].end
    return Mailbox(
        name,
        _utf8("".join(map(plain, local))),
        _utf8("".join(token.text for token in domain)),
        group,
        (local[0].start, end),
        (domain[0].start, domain[-1].end) if domain else (end, end),
    )


def _joined(tokens: list[Token]) -> bool:
    """Whether these are words of one address: of kinds that may stand in it, two neighbours only across a dot."""
    if any(token.kind not in {"atom", "quoted", "literal"} for token in tokens):
        return False
    pairs = pairwise(tokens)
    return all(before.text.endswith(".") or after.text.startswith(".") for before, after in pairs)


def plain(token: Token) -> str:
    """Give the text of a token without quotes."""
    if token.kind != "quoted":
        return token.text
    inside = token.text[1:].removesuffix('"')
    return _QUOTED_PAIR.sub(r"\1", inside.replace("\r\n", ""))


def phrase(words: list[Token]) -> str:
    """Give the text of a phrase, one character an octet."""
    return _SPACES.sub(" ", " ".join(map(plain, words))).strip()


def _phrase(words: list[Token]) -> str:
    return _utf8(phrase(words)).strip()


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")
