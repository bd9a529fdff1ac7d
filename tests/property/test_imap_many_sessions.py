"""Many IMAP sessions on one mailbox: what each client was told is, in the end, what is there.

A client here knows only what the standard lets it know: it counts EXISTS, strikes off EXPUNGE and VANISHED, believes
FETCH. Whatever the sessions do, in whatever order, numbers never mean another message than the client thinks, no number
changes while a command counts on it, and after NOOP every client knows every message with its flags.
"""

import re
import tempfile
from dataclasses import dataclass, field

import pytest
from conformance.imap_runner import Connection, House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)\Z")
_UID = re.compile(r"UID (\d+)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_HOLDING = {"FETCH", "STORE", "SEARCH"}


@dataclass
class Client:
    connection: Connection
    by_uid: bool = False
    uids: list[int | None] = field(default_factory=list)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    idling: bool = False

    def say(self, command: str) -> str:
        if self.idling:
            self.hear(self.connection.say("DONE"), "DONE")
            self.idling = False
        text = self.connection.say(f"t {command}")
        self.hear(text, command.split()[0])
        assert "BAD" not in text, (command, text)
        return text

    def hear(self, text: str, verb: str) -> None:
        for line in text.splitlines():
            if (match := re.match(r"\* (\d+) EXISTS", line)) is not None:
                assert int(match[1]) > len(self.uids) or verb in {"SELECT", "EXAMINE"}
                self.uids += [None] * (int(match[1]) - len(self.uids))
            elif (match := re.match(r"\* (\d+) EXPUNGE", line)) is not None:
                assert verb not in _HOLDING
                assert not self.by_uid
                gone = self.uids.pop(int(match[1]) - 1)
                self.flags.pop(gone or 0, None)
            elif (match := re.match(r"\* VANISHED (\S+)", line)) is not None:
                assert verb not in _HOLDING
                self.vanish(match[1])
            elif (match := _FETCH.match(line)) is not None:
                self.learn(int(match[1]), match[2])

    def vanish(self, text: str) -> None:
        for part in text.split(","):
            first, _, last = part.partition(":")
            for uid in range(int(first), int(last or first) + 1):
                self.uids.remove(uid)
                self.flags.pop(uid, None)

    def learn(self, number: int, items: str) -> None:
        uid, flags = _UID.search(items), _FLAGS.search(items)
        if uid is not None:
            assert self.uids[number - 1] in {None, int(uid[1])}
            self.uids[number - 1] = int(uid[1])
        known = self.uids[number - 1]
        if flags is not None and known is not None:
            self.flags[known] = frozenset(flags[1].split()) - {"\\Recent"}

    def learn_all(self) -> None:
        if self.uids:
            self.say("FETCH 1:* (UID FLAGS)")


NUMBERS = st.sampled_from(["1", "2", "1:2", "2:3", "*", "1:*", "3:*"])
COMMANDS = st.one_of(
    st.builds("{} {} {} ({})".format, st.sampled_from(["STORE", "UID STORE"]), NUMBERS,
              st.sampled_from(["+FLAGS", "-FLAGS.SILENT", "FLAGS", "+FLAGS.SILENT"]),
              st.sampled_from(["\\Seen", "\\Deleted", "\\Deleted $k", ""])),
    st.sampled_from(["EXPUNGE", "UID EXPUNGE 1:2", "NOOP", "SEARCH ALL", "FETCH 1 BODY[]", "IDLE", "CHECK"]),
    st.builds("UID {} {} {}".format, st.sampled_from(["MOVE", "COPY"]), NUMBERS, st.sampled_from(["INBOX", "other"])),
    st.just("APPEND INBOX {2+}\r\nhi"),
)  # fmt: skip


def possible(client: Client, command: str) -> bool:
    """A number must be one the client knows."""
    numbers = re.match(r"(?:STORE|FETCH) (\S+)", command)
    if numbers is None:
        return True
    return max((int(number) for number in re.findall(r"\d+", numbers[1])), default=1) <= len(client.uids) > 0


def truth(house: House) -> dict[int, frozenset[str]]:
    watcher = Client(Connection(house).log_in())
    watcher.say("EXAMINE INBOX")
    watcher.learn_all()
    return {uid: watcher.flags[uid] for uid in watcher.uids if uid is not None}


@pytest.mark.parametrize("driver", ["memory", "native", "maildir"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 2), COMMANDS), max_size=30))
def test_what_each_client_was_told_is_what_is_there(driver, steps):
    with tempfile.TemporaryDirectory() as path:
        house = House(driver=driver, path=path)
        try:
            play(house, steps)
        finally:
            house.close()


def play(house, steps):
    house.create("other")
    clients = [Client(Connection(house).log_in(), by_uid=place == 2) for place in range(3)]
    clients[2].connection.say("e ENABLE QRESYNC")
    for client in clients:
        client.say("SELECT INBOX")
        client.learn_all()
    begin = dict(clients[2].flags)
    known = re.search(
        r"UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)", clients[2].say("STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)")
    )
    for place, command in steps:
        client = clients[place]
        if not possible(client, command):
            continue
        client.say(command)
        client.idling = command == "IDLE"
        for other in clients:
            if other.idling:
                other.hear(other.connection.receive().decode(), "IDLE")
        if ".SILENT" in command or "BODY[]" in command or (client.by_uid and None in client.uids):
            client.learn_all()
    for client in clients:
        client.say("NOOP")
        told = dict(client.flags)
        assert len(client.uids) == len(truth(house))
        client.learn_all()
        assert client.flags == truth(house)
        assert told.items() <= client.flags.items()
    assert resynchronise(house, begin, " ".join(known.groups())) == truth(house)


def resynchronise(house: House, known: dict[int, frozenset[str]], state: str) -> dict[int, frozenset[str]]:
    """Come back as a client that knows the mailbox as of a MODSEQ (``state``: UIDVALIDITY and MODSEQ)."""
    client = Client(Connection(house).log_in())
    client.connection.say("e ENABLE QRESYNC")
    text = client.connection.say(f"s SELECT INBOX (QRESYNC ({state}))")
    flags = dict(known)
    for line in text.splitlines():
        if (match := re.match(r"\* VANISHED \(EARLIER\) (\S+)", line)) is not None:
            for part in match[1].split(","):
                first, _, last = part.partition(":")
                for uid in range(int(first), int(last or first) + 1):
                    flags.pop(uid, None)
        elif (fetched := _FETCH.match(line)) is not None:
            uid, found = _UID.search(fetched[2]), _FLAGS.search(fetched[2])
            assert uid is not None
            assert found is not None
            flags[int(uid[1])] = frozenset(found[1].split()) - {"\\Recent"}
    return flags
