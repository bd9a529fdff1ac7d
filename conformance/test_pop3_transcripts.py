"""Every POP3 transcript holds for the server core, and for the core behind a socket."""

import re
from collections.abc import Iterator

import pytest
from conformance.listening import listening
from conformance.pop3_runner import LANGUAGES, CorePeer, Transcript, run_over_core, run_over_tcp, transcripts

from penfold.protocols.pop3 import Server, ServerSettings, capabilities
from penfold.protocols.sasl import SERVER_MECHANISMS

ALL = transcripts()


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_the_core(transcript: Transcript) -> None:
    run_over_core(transcript)


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_names_its_standard(transcript: Transcript) -> None:
    assert re.match(r"RFC \d+ §|https://", transcript.title), transcript.name


_PLAIN = [one for one in ALL if not one.core_only and not any(kind == "TLS" for _, kind, _ in one.steps)]


@pytest.mark.parametrize("transcript", _PLAIN, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_tcp(transcript: Transcript) -> None:
    with listening(lambda: CorePeer(transcript)) as port:
        run_over_tcp(transcript, "127.0.0.1", port)


def _sent() -> set[str]:
    """Tell the verbs that clients of the transcripts send."""
    return {
        text.split()[0].upper() for one in ALL for _, kind, text in one.steps if kind in {"C:", "C|"} and text.split()
    }


def test_every_command_has_a_transcript() -> None:
    assert {verb.decode() for verb in {**Server._verbs, **Server._logins}} <= _sent()


def test_every_capability_that_is_announced_has_a_transcript() -> None:
    everything = ServerSettings(
        hostname="mx.test",
        starttls=True,
        clear_text=True,
        mechanisms=("PLAIN",),
        login_delay=1,
        expire=1,
        implementation="x",
        languages=LANGUAGES,
    )
    lines = capabilities.keywords(everything, tls=False)
    found = {text.split()[0] for one in ALL for _, kind, text in one.steps if kind == "M+"}
    assert {line.split()[0] for line in lines} <= found


def test_every_response_code_has_a_transcript() -> None:
    codes = {match[1] for one in ALL for _, kind, text in one.steps if kind == "S:" for match in _codes(text)}
    assert {"IN-USE", "LOGIN-DELAY", "AUTH", "SYS/TEMP", "SYS/PERM", "UTF8"} <= codes


def _codes(text: str) -> Iterator[re.Match[str]]:
    return re.finditer(r"\[([A-Z0-9/-]+)\]", text)


def test_every_mechanism_has_a_transcript() -> None:
    tried = {text.split()[1] for one in ALL for _, _, text in one.steps if text.startswith("AUTH ")}
    assert {"SCRAM-SHA-256", "PLAIN", "LOGIN"} <= tried & set(SERVER_MECHANISMS)
