"""The words of delivery status notifications: what happened and what to do next, in English, in one table.

Standards: RFC 3463 §3; RFC 5248; RFC 3464 §1
"""

from enum import StrEnum
from typing import NamedTuple

from penfold.model import Reply


class Action(StrEnum):
    """What became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Words(NamedTuple):
    """What happened, and what the reader can do about it."""

    happened: str
    advice: str


SUBJECTS = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed (we keep trying)",
    Action.RELAYED: "Your message was passed on",
    Action.EXPANDED: "Your message was passed on to a list of addresses",
    Action.DELIVERED: "Your message was delivered",
}

HEADINGS = {
    Action.FAILED: "It could NOT be delivered to:",
    Action.DELAYED: "It could not be delivered YET to (you need not send it again):",
    Action.DELIVERED: "It was delivered to:",
    Action.RELAYED: "It was passed on to a mail system that will not report back about:",
    Action.EXPANDED: "It was passed on to the several addresses behind:",
}

GREETING = "This is the mail system of {host}. It writes to you about a message of yours{subject}."
RETURNED_WHOLE = "Your message is attached."
RETURNED_HEADER = "The header of your message is attached; its text is not."
POSTMASTER = "If you need help, write to {postmaster} and include this report."
RETRY_UNTIL = "We keep trying until {date}. If it still fails then, you will get another report."

_ASK_THEM = "Ask the recipient, by another way, to tell the people who run their mail."
_CHECK = "Check the spelling of the address and send the message again."
_LATER = "Try again later. If it keeps failing, reach the recipient by another way."

# Keys are "subject.detail" of the enhanced status, then the subject alone, then "".
FAILED_WORDS: dict[str, Words] = {
    "1.1": Words("There is no mailbox of this name there.", _CHECK),
    "1.2": Words("The domain behind the @ does not exist or has no mail system.", _CHECK),
    "1.3": Words("The address is not written as an address must be.", _CHECK),
    "1.6": Words("The mailbox has moved and no new address is known.", "Ask the recipient for the new address."),
    "1.8": Words("The mail system there does not accept your sender address.", "Check the address you send from."),
    "1.10": Words("The domain behind the @ says that it takes no mail at all.", _CHECK),
    "1": Words("The address was not accepted.", _CHECK),
    "2.1": Words("The mailbox is switched off.", "Reach the recipient by another way."),
    "2.2": Words("The mailbox is full.", "Ask the recipient to make room, then send the message again."),
    "2.3": Words("The message is larger than this mailbox takes.", "Send a smaller message, or a link to a file."),
    "2.4": Words("The mailing list could not pass it on.", "Write to the owner of the list."),
    "2": Words("The mailbox could not take the message.", _LATER),
    "3.1": Words("The mail system there is full.", _LATER),
    "3.4": Words("The message is larger than the mail system takes.", "Send a smaller message, or a link to a file."),
    "3": Words("The mail system there has a problem.", _LATER),
    "4.1": Words("The mail system there does not answer.", _LATER),
    "4.4": Words("No way to the mail system there could be found.", _CHECK),
    "4.6": Words(
        "The message went round in circles between mail systems.",
        "Write to the postmaster: a forward is set up wrongly.",
    ),
    "4.7": Words("All attempts failed, for as long as we try.", _LATER),
    "4": Words("The mail system there could not be reached.", _LATER),
    "5.3": Words("The message has too many recipients.", "Send it to fewer recipients at a time."),
    "5": Words("The two mail systems did not understand each other.", "Write to the postmaster."),
    "6.3": Words(
        "The mail system there cannot take the form of this message, and it cannot be converted.",
        "Send the message as plain text, or the attachment as a link.",
    ),
    "6.7": Words(
        "The mail system there cannot take addresses with letters beyond ASCII.",
        "Use an ASCII address if there is one.",
    ),
    "6": Words("The content of the message was not accepted.", "Send it in another form, for example as plain text."),
    "7.1": Words("The mail system there refused the message: this sender may not write to that address.", _ASK_THEM),
    "7.2": Words("Only some senders may write to this mailing list.", "Ask the owner of the list."),
    "7.20": Words("The message carried no valid signature (DKIM).", "Tell those who run your mail."),
    "7.23": Words("The mail system there says we may not send for your domain (SPF).", "Tell those who run your mail."),
    "7.26": Words("The message passed none of the checks of its origin.", "Tell those who run your mail."),
    "7": Words("The mail system there refused the message by policy, perhaps as spam.", _ASK_THEM),
    "": Words("The message was refused.", _LATER),
}

DELAYED_WORDS: dict[str, Words] = {
    "1": Words("The address cannot be checked at the moment.", ""),
    "2.2": Words("The mailbox is full at the moment.", "You may tell the recipient by another way."),
    "2": Words("The mailbox cannot take mail at the moment.", ""),
    "3": Words("The mail system there has a problem at the moment.", ""),
    "4.1": Words("The mail system there does not answer at the moment.", ""),
    "4": Words("The mail system there cannot be reached at the moment.", ""),
    "7": Words("The mail system there puts us off for now; that is often a check of new senders.", ""),
    "": Words("The mail system there put us off for now.", ""),
}

GOOD_WORDS = {
    Action.DELIVERED: Words("It is in the mailbox.", ""),
    Action.RELAYED: Words("The next mail system took it; whether it was read or even delivered we cannot know.", ""),
    Action.EXPANDED: Words("What becomes of it at each of those addresses is not reported.", ""),
}


def words_for(action: Action, reply: Reply) -> Words:
    """Choose the words for a recipient: by what became of it, then by the enhanced status, the most exact first."""
    if action in GOOD_WORDS:
        return GOOD_WORDS[action]
    table = FAILED_WORDS if action is Action.FAILED else DELAYED_WORDS
    exact = status_of(action, reply).partition(".")[2]
    subject = exact.partition(".")[0]
    return table.get(exact) or table.get(subject) or table[""]


_CLASSES = {Action.FAILED: "5", Action.DELAYED: "4"}


def status_of(action: Action, reply: Reply) -> str:
    """Give the Status of a recipient: the reply's where it has one, its class brought in line with the action.

    A recipient that failed because a 4yz went on too long has status 5.4.7, delivery time expired (RFC 3463 §3.5): the
    4yz itself stands in the diagnostic code, and its detail under class 5 would say what nobody said.
    """
    if action is Action.FAILED and reply.transient:
        return "5.4.7"
    first, _, rest = reply.status.partition(".")
    good = first in {"2", "4", "5"} and all(
        part.isascii() and part.isdigit() and len(part) <= 3 for part in rest.split(".")
    )
    if not good or rest.count(".") != 1:
        rest = "0.0"
    return f"{_CLASSES.get(action, '2')}.{rest}"
