"""The sample mail: sent by ordinary SMTP clients through the demo's own doors, so that it takes the way all mail takes.

Trust: the server is our own, on loopback.
"""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from penfold.service.demo.household import DOMAIN, OUTSIDE, PEOPLE, VIRTUAL, Household, Person

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and who sends it: a person logs in, a stranger just comes."""

    sender: Person | str
    recipients: Sequence[str]
    subject: str
    body: str


ALICE, BOB, CAROL = PEOPLE
SAMPLES = (
    Sample(
        f"ada@{OUTSIDE}",
        [f"team@{DOMAIN}"],
        "An alias",
        "team@ is an alias: alice, bob and carol get this, and through bob's .forward carol gets it once only.",
    ),
    Sample(
        f"ada@{OUTSIDE}",
        [BOB.address],
        "A .forward",
        "bob's .forward keeps this for him and sends carol a copy.",
    ),
    Sample(
        f"ada@{OUTSIDE}",
        [f"anything@{VIRTUAL}"],
        "A virtual domain",
        f"Nobody is called anything@{VIRTUAL}: the catch-all of that domain gives this to carol.",
    ),
    Sample(f"ada@{OUTSIDE}", [f"note@{DOMAIN}"], "A program", "note@ is a program: it writes this down."),
    Sample(
        ALICE,
        [f"friend@{OUTSIDE}"],
        "Mail that waits",
        "The demo talks to no other host, so this waits in the queue: penfold queue list.",
    ),
)


def send(house: Household) -> int:
    """Send them all; gives how many. Raises OSError and SMTPException."""
    port = house.port("smtp")
    with smtplib.SMTP("127.0.0.1", port, f"mail.{OUTSIDE}", SECONDS) as stranger:
        for sample in SAMPLES:
            if isinstance(sample.sender, str):
                stranger.sendmail(sample.sender, sample.recipients, written(sample, sample.sender))
            else:
                _send_as(house, sample.sender, sample)
    return len(SAMPLES)


def _send_as(house: Household, person: Person, sample: Sample) -> None:
    # SECURITY: the certificate was made a moment ago by ourselves, and this is loopback: there is nothing to verify.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - smtplib's own default is the same
    with smtplib.SMTP("127.0.0.1", house.port("submission"), "laptop", SECONDS) as client:
        client.starttls(context=context)
        client.login(person.address, person.password)
        client.sendmail(person.address, sample.recipients, written(sample, person.address))


def written(sample: Sample, sender: str) -> str:
    """Write the message, for smtplib (which makes CRLF of line ends)."""
    to = ", ".join(sample.recipients)
    return f"From: {sender}\nTo: {to}\nSubject: {sample.subject}\n\n{sample.body}\n"
