"""Mail that came in is read by IMAP and POP3, with Python's own clients, over real processes."""

import imaplib
import poplib

import pytest
from tests.system.host import DOMAIN, Host, Settings, text_message, unverified, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("host")]

SETTINGS = Settings(doors=("smtp", "imap", "imaps", "pop3", "pop3s"))
ALICE = f"alice@{DOMAIN}"


def deliver(host: Host, *subjects: str) -> None:
    with host.smtp() as client:
        for subject in subjects:
            client.sendmail("eve@other.test", [ALICE], text_message(subject))
    host.wait_for("alice", len(subjects))


def imap(host: Host) -> imaplib.IMAP4:
    client = imaplib.IMAP4_SSL("127.0.0.1", host.ports["imaps"], ssl_context=unverified())
    client.login(ALICE, "alice-demo")
    return client


def pop3(host: Host) -> poplib.POP3:
    client = poplib.POP3_SSL("127.0.0.1", host.ports["pop3s"], context=unverified(), timeout=30)
    client.user(ALICE)
    client.pass_("alice-demo")
    return client


def test_mail_is_listed_fetched_flagged_searched_moved_and_deleted_by_imap():
    with Host(SETTINGS) as host:
        deliver(host, "first", "second")
        client = imap(host)
        assert client.select("INBOX") == ("OK", [b"2"])
        _, answers = client.fetch("1", "(FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert b'"first"' in answers[0][0] + answers[0][1] or b"Subject: first" in answers[0][1]
        assert client.store("1", "+FLAGS", "(\\Seen $Important)")[0] == "OK"
        assert client.search(None, "SEEN") == ("OK", [b"1"])
        assert client.create("old")[0] == "OK"
        assert client.copy("2", "old")[0] == "OK"
        client.store("2", "+FLAGS", "(\\Deleted)")
        assert client.expunge() == ("OK", [b"2"])
        assert client.select("old") == ("OK", [b"1"])
        assert client.logout()[0] == "BYE"
        again = imap(host)
        again.select("INBOX")
        [flags] = again.fetch("1:*", "(FLAGS)")[1]
        assert b"\\Seen" in flags
        assert b"$Important" in flags
        again.logout()


def test_an_idle_client_hears_of_mail_that_is_delivered():
    with Host(SETTINGS) as host:
        client = imap(host)
        client.select("INBOX")
        tag = client._new_tag()
        client.send(tag + b" IDLE\r\n")
        assert client.readline().startswith(b"+")
        deliver(host, "wake up")
        client.sock.settimeout(10)
        assert client.readline().rstrip() == b"* 1 EXISTS"
        client.send(b"DONE\r\n")
        while not (line := client.readline()).startswith(tag):
            assert line
        client.logout()


def test_mail_is_collected_and_deleted_by_pop3_and_keeps_its_uidls():
    with Host(SETTINGS) as host:
        deliver(host, "first", "second")
        client = pop3(host)
        assert client.stat()[0] == 2
        ids = client.uidl()[1]
        octets = b"\r\n".join(client.retr(1)[1])
        assert b"Subject: first" in octets
        client.dele(1)
        client.quit()
        again = pop3(host)
        assert [each.split()[1] for each in again.uidl()[1]] == [ids[1].split()[1]]
        again.quit()


def test_before_tls_nobody_is_let_in_and_a_wrong_password_is_refused():
    with Host(SETTINGS) as host:
        plain = imaplib.IMAP4("127.0.0.1", host.ports["imap"])
        assert "LOGINDISABLED" in plain.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            plain.login(ALICE, "alice-demo")
        plain.starttls(unverified())
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            plain.login(ALICE, "wrong")
        assert plain.login(ALICE, "alice-demo")[0] == "OK"
        plain.logout()
        post = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=30)
        with pytest.raises(poplib.error_proto, match="STLS"):
            post.user(ALICE)
        post.stls(unverified())
        post.user(ALICE)
        assert post.pass_("alice-demo").startswith(b"+OK")
        post.quit()


def test_a_session_goes_on_over_a_reload_and_a_killed_role_comes_back():
    with Host(SETTINGS) as host:
        deliver(host, "first")
        client = imap(host)
        client.select("INBOX")
        old = host.pids("access")
        host.reload()
        wait_until(lambda: set(host.pids("access")) - set(old), host.log)
        assert client.noop()[0] == "OK"
        assert client.fetch("1", "(UID)")[0] == "OK"
        client.logout()
        host.stop()
        host.start()
        other = imap(host)
        assert other.select("INBOX") == ("OK", [b"1"])
        other.logout()
