"""Reads what tables say after ``error:``: the reply an address or a domain is refused with.

Forms: ``5.7.0:550 text`` and a keyword with text (``nouser No such user``) as sendmail's error mailer, ``5.1.2 text``
as Postfix's error transport, ``550 5.1.1 text`` and ``550 text`` as a reply itself, or text alone.

Standards: RFC 3463; RFC 5321 §4.2
Trust: administrators' tables; the text is made fit for a reply line whatever it holds.
"""

import re

from penfold.model import Reply

_KEYWORDS = {
    "nouser": Reply.of(550, "5.1.1", "No such user here"),
    "nohost": Reply.of(550, "5.1.2", "No such host"),
    "unavailable": Reply.of(550, "5.7.0", "Not available"),
    "usage": Reply.of(501, "5.5.4", "Bad usage"),
    "protocol": Reply.of(554, "5.5.0", "Protocol error"),
    "config": Reply.of(554, "5.3.5", "Configuration error"),
    "tempfail": Reply.of(450, "4.0.0", "Try again later"),
}
_FORMS = re.compile(
    r"(?:(?P<status>[45]\.\d{1,3}\.\d{1,3})(?::\s*|\s+|\Z))?(?:(?P<code>[45][0-5]\d)(?:\s+|\Z))?"
    r"(?(status)|(?:(?P<late>[45]\.\d{1,3}\.\d{1,3})(?:\s+|\Z))?)(?P<text>.*)",
    re.DOTALL,
)
_UNFIT = re.compile(r"[^ -~\u00a1-\U0010ffff]+")
_REFUSED = Reply.of(550, "5.0.0", "Mail is not accepted here")
MAX_TEXT = 400


def parse_error(text: str, default: Reply = _REFUSED) -> Reply:
    """Read the text after ``error:``; what it leaves out comes from ``default``. Never raises."""
    text = text.strip()
    keyword, _, words = text.partition(" ")
    if keyword.lower() in _KEYWORDS:
        default, text = _KEYWORDS[keyword.lower()], words
    found = _FORMS.match(text)
    assert found is not None
    status = found["status"] or found["late"] or ""
    code = int(found["code"] or 0)
    wording = _UNFIT.sub(" ", found["text"]).strip()[:MAX_TEXT].rstrip() or default.text
    return _consistent(code, status, wording, default)


def _consistent(code: int, status: str, wording: str, default: Reply) -> Reply:
    """Make code and enhanced status tell the same class; the code wins."""
    if not code and not status:
        return default.with_text(wording)
    if not code:
        code = default.code if default.status[:1] == status[0] else {"4": 450, "5": 550}[status[0]]
    if not status:
        status = default.status if default.code // 100 == code // 100 else f"{code // 100}.0.0"
    return Reply.of(code, f"{code // 100}{status[1:]}", wording)
