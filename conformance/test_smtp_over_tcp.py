"""The transcripts whose settings and answers fit a running host, played to one over TCP."""

from collections.abc import Iterator

import pytest
from conformance.smtp_runner import FOLDER, load, run_over_tcp
from tests.system.host import Host, Settings

pytestmark = pytest.mark.xdist_group("host")

# The others need settings of their own, or an application that refuses what they name.
FITTING = (
    *("bare_line_ends", "bdat", "binarymime", "dsn", "eightbitmime", "eof", "hello", "http", "mail"),
    *("rset_noop_help", "transaction", "vrfy_expn", "xclient_refused"),
)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    options = {"routing": {"catch_all": {"example.test": "alice@example.test"}}, "tls": {"certificate": ""}}
    listeners = {"submission": {"tls": "none"}, "submissions": {"role": "submission", "tls": "none"}}
    with Host(Settings(options=options, listeners=listeners)) as host:
        yield host


@pytest.mark.parametrize("name", FITTING)
def test_a_running_host_answers_as_the_transcript_says(host: Host, name: str):
    run_over_tcp(load(FOLDER / f"{name}.txt"), "127.0.0.1", host.ports["smtp"])
