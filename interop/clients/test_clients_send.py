"""swaks, msmtp, curl and smtplib send through Penfold: in the clear, under TLS, logged in by every mechanism."""

import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.missing import program
from tests.system.host import DOMAIN, Host, Settings, token, unverified

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("clients")]

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(Settings()) as host:
        yield host


def run(argv: list[object], data: bytes = b"", good: tuple[int, ...] = (0,)) -> str:
    """Run a client to its end; what it said."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=data, capture_output=True, timeout=60, check=False)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert done.returncode in good, f"{words} ended with {done.returncode}:\n{said}"
    return said


def delivered(host: Host, user: str, mark: str) -> bytes:
    return host.wait_for_text(user, mark.encode())


class TestSwaks:
    @staticmethod
    def swaks(host: Host, port: str, mark: str, *words: str, to: str = BOB, good: tuple[int, ...] = (0,)) -> str:
        server = ["--server", "127.0.0.1", "--port", host.ports[port], "--helo", "swaks.test"]
        envelope = ["--from", ALICE, "--to", to, "--header", f"Subject: {mark}"]
        return run([program("swaks"), *server, *envelope, *words], good=good)

    @pytest.mark.parametrize("words", [(), ("--pipeline",), ("-tls",), ("-tls", "--pipeline")], ids=" ".join)
    def test_to_port_smtp(self, host: Host, words: tuple[str, ...]):
        mark = token()
        self.swaks(host, "smtp", mark, *words)
        got = delivered(host, "bob", mark)
        assert (b"with ESMTPS " in got) == ("-tls" in words)

    @pytest.mark.parametrize("mechanism", MECHANISMS[:2])
    @pytest.mark.parametrize(("port", "tls"), [("submission", "-tls"), ("submissions", "--tls-on-connect")])
    def test_logged_in(self, host: Host, mechanism: str, port: str, tls: str):
        mark = token()
        login = ["--auth", mechanism, "--auth-user", ALICE, "--auth-password", "alice-demo"]
        self.swaks(host, port, mark, tls, *login)
        assert b"with ESMTPSA " in delivered(host, "bob", mark)

    def test_a_wrong_password_is_refused(self, host: Host):
        login = ["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", "wrong"]
        said = self.swaks(host, "submission", token(), "-tls", *login, good=(28,))
        assert "535 5.7.8" in said

    def test_no_log_in_is_offered_before_tls(self, host: Host):
        said = self.swaks(host, "submission", token(), "--quit-after", "EHLO")
        assert "AUTH" not in said
        assert "STARTTLS" in said

    def test_an_unknown_user_is_refused_at_rcpt(self, host: Host):
        said = self.swaks(host, "smtp", token(), to=f"nobody.here@{DOMAIN}", good=(24,))
        assert "550 5.1.1" in said

    def test_a_stranger_cannot_relay(self, host: Host):
        said = self.swaks(host, "smtp", token(), to="someone@elsewhere.test", good=(24,))
        assert "550 5.7.1" in said or "554 5.7.1" in said

    def test_over_lmtp(self, host: Host):
        mark = token()
        self.swaks(host, "lmtp", mark, "--protocol", "LMTP")
        assert b"with LMTP " in delivered(host, "bob", mark)

    def test_lmtp_never_relays_not_even_for_loopback(self, host: Host):
        self.swaks(host, "lmtp", token(), "--protocol", "LMTP", to="someone@elsewhere.test", good=(24,))


class TestMsmtp:
    MESSAGE = f"From: {ALICE}\nTo: {BOB}\nSubject: {{mark}}\n\n.dot\n..\nlast\n"

    @staticmethod
    def msmtp(host: Host, port: str, mark: str, *words: str, good: tuple[int, ...] = (0,)) -> str:
        server = ["-C", "/dev/null", "--host=127.0.0.1", f"--port={host.ports[port]}", "--tls-certcheck=off"]
        text = TestMsmtp.MESSAGE.format(mark=mark)
        return run([program("msmtp"), *server, *words, f"--from={ALICE}", BOB], text.encode(), good)

    def test_in_the_clear(self, host: Host):
        mark = token()
        self.msmtp(host, "smtp", mark)
        assert delivered(host, "bob", mark).endswith(b"\n\n.dot\n..\nlast\n")

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    @pytest.mark.parametrize(("port", "starttls"), [("submission", "on"), ("submissions", "off")])
    def test_logged_in(self, host: Host, tmp_path: Path, mechanism: str, port: str, starttls: str):
        if mechanism.lower() not in run([program("msmtp"), "--version"]).lower():
            pytest.skip(f"this msmtp does not know {mechanism}")
        mark = token()
        login = [f"--auth={mechanism.lower()}", f"--user={ALICE}", "--passwordeval=echo alice-demo"]
        self.msmtp(host, port, mark, "--tls=on", f"--tls-starttls={starttls}", *login)
        assert b"with ESMTPSA " in delivered(host, "bob", mark)

    def test_dsn_is_taken_and_a_report_comes(self, host: Host):
        mark = token()
        self.msmtp(host, "smtp", mark, "--dsn-notify=success", "--dsn-return=hdrs")
        delivered(host, "bob", mark)
        report = delivered(host, "alice", mark)
        assert b"Action: delivered" in report
        assert b"multipart/report" in report

    def test_its_server_information_lists_what_we_offer(self, host: Host):
        said = run([program("msmtp"), "-C", "/dev/null", "--host=127.0.0.1", f"--port={host.ports['smtp']}", "-S"])
        for word in ("SIZE", "PIPELINING", "STARTTLS", "DSN"):
            assert word in said


class TestCurl:
    @staticmethod
    def curl(host: Host, url: str, mark: str, *words: str, good: tuple[int, ...] = (0,)) -> str:
        text = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {mark}\r\n\r\n.dot\r\nlast\r\n"
        scheme, _, port = url.partition(" ")
        where = f"{scheme}://127.0.0.1:{host.ports[port]}/curl.test"
        envelope = ["--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", "-"]
        return run([program("curl"), "-sS", "-k", *words, *envelope, where], text.encode(), good)

    def test_in_the_clear(self, host: Host):
        mark = token()
        self.curl(host, "smtp smtp", mark)
        assert delivered(host, "bob", mark).endswith(b"\n\n.dot\nlast\n")

    # Debian's curl is built without SCRAM; msmtp shows that.
    @pytest.mark.parametrize("mechanism", [each for each in MECHANISMS if not each.startswith("SCRAM")])
    @pytest.mark.parametrize("url", ["smtp submission", "smtps submissions"])
    def test_logged_in(self, host: Host, mechanism: str, url: str):
        mark = token()
        words = ["--ssl-reqd", "--user", f"{ALICE}:alice-demo", "--login-options", f"AUTH={mechanism}"]
        self.curl(host, url, mark, *words)
        assert b"with ESMTPSA " in delivered(host, "bob", mark)

    def test_a_wrong_password_is_refused(self, host: Host):
        self.curl(host, "smtps submissions", token(), "--user", f"{ALICE}:wrong", good=(67,))

    def test_a_recipient_of_several_may_be_unknown(self, host: Host):
        mark = token()
        self.curl(host, "smtp smtp", mark, "--mail-rcpt", f"nobody.here@{DOMAIN}", "--mail-rcpt-allowfails")
        delivered(host, "bob", mark)


class TestSmtplib:
    @staticmethod
    def message(mark: str, body: bytes = b"hello\r\n") -> bytes:
        return f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {mark}\r\n\r\n".encode() + body

    @pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
    def test_eight_bits_arrive_as_they_were(self, host: Host, tls: str):
        mark, body = token(), "Grüße ☃\r\n".encode()
        if tls == "implicit":
            client = smtplib.SMTP_SSL("127.0.0.1", host.ports["submissions"], context=unverified(), timeout=30)
            client.login(ALICE, "alice-demo")
        else:
            client = host.smtp()
        with client:
            if tls == "starttls":
                client.starttls(context=unverified())
            client.sendmail(ALICE, [BOB], self.message(mark, body), ["BODY=8BITMIME"])
        assert delivered(host, "bob", mark).endswith(body.replace(b"\r\n", b"\n"))

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
    def test_logged_in(self, host: Host, mechanism: str):
        mark = token()
        with smtplib.SMTP("127.0.0.1", host.ports["submission"], timeout=30) as client:
            client.starttls(context=unverified())
            client.ehlo()
            client.user, client.password = ALICE, "alice-demo"
            assert client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))[0] == 235
            client.sendmail(ALICE, [BOB], self.message(mark))
        got = delivered(host, "bob", mark)
        assert b"with ESMTPSA " in got
        assert b"\nDate: " in got
        assert b"\nMessage-ID: " in got

    def test_smtputf8(self, host: Host):
        mark = token()
        octets = f"From: Zoë <zoë@{DOMAIN}>\r\nSubject: {mark} Grüße\r\n\r\nhi\r\n".encode()
        with host.smtp() as client:
            client.sendmail(f"zoë@{DOMAIN}", [BOB], octets, ["SMTPUTF8", "BODY=8BITMIME"])
        assert b"with UTF8SMTP " in delivered(host, "bob", mark)

    def test_dsn_options_bring_a_report(self, host: Host):
        mark = token()
        with host.smtp() as client:
            options = ["RET=FULL", f"ENVID={mark}"]
            asked = ["NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT=rfc822;robert@{DOMAIN}"]
            client.sendmail(ALICE, [BOB], self.message(mark), options, asked)
        report = delivered(host, "alice", f"Original-Envelope-Id: {mark}")
        assert b"Action: delivered" in report
        assert f"robert@{DOMAIN}".encode() in report

    def test_chunks_are_joined(self, host: Host):
        mark = token()
        with host.connect() as client:
            assert b"CHUNKING" in client.say("EHLO chunks.test")
            client.send(f"MAIL FROM:<{ALICE}> BODY=8BITMIME\r\nRCPT TO:<{BOB}>\r\n".encode())
            pieces = [self.message(mark, b".dot\r\n"), b".\r\nhalf a li", b"ne\r\n"]
            for number, piece in enumerate(pieces):
                client.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if number == 2 else b"") + piece)
            assert [reply[:3] for reply in client.replies(5)] == [b"250"] * 5
        assert delivered(host, "bob", mark).endswith(b"\n\n.dot\n.\nhalf a line\n")

    def test_a_whole_conversation_in_one_write(self, host: Host):
        mark = token()
        with host.connect() as client:
            client.say("EHLO pipeline.test")
            talk = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<nobody.here@{DOMAIN}>\r\nDATA\r\n".encode()
            client.send(talk)
            assert [reply[:3] for reply in client.replies(4)] == [b"250", b"250", b"550", b"354"]
            client.send(self.message(mark) + b".\r\nQUIT\r\n")
            assert [reply[:3] for reply in client.replies(2)] == [b"250", b"221"]
        delivered(host, "bob", mark)
