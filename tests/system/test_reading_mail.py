"""Mail that came in is read by IMAP and POP3, with Python's own clients, over real processes."""

import contextlib
import imaplib
import poplib
from collections.abc import Iterator

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


@contextlib.contextmanager
def imap(host: Host) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4_SSL("127.0.0.1", host.ports["imaps"], ssl_context=unverified(), timeout=30)
    with contextlib.closing(client.sock):
        client.login(ALICE, "alice-demo")
        yield client
        assert client.logout()[0] == "BYE"


@contextlib.contextmanager
def pop3(host: Host) -> Iterator[poplib.POP3]:
    client = poplib.POP3_SSL("127.0.0.1", host.ports["pop3s"], context=unverified(), timeout=30)
    with contextlib.closing(client.sock):
        client.user(ALICE)
        client.pass_("alice-demo")
        yield client
        client.quit()


def test_mail_is_listed_fetched_flagged_searched_moved_and_deleted_by_imap():
    with Host(SETTINGS) as host:
        deliver(host, "first", "second")
        with imap(host) as client:
            assert client.select("INBOX") == ("OK", [b"2"])
            _, answers = client.fetch("1", "(FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            assert b"Subject: first" in answers[0][1]
            assert client.store("1", "+FLAGS", "(\\Seen $Important)")[0] == "OK"
            assert client.search(None, "SEEN") == ("OK", [b"1"])
            assert client.create("old")[0] == "OK"
            assert client.copy("2", "old")[0] == "OK"
            client.store("2", "+FLAGS", "(\\Deleted)")
            assert client.expunge() == ("OK", [b"2"])
            assert client.select("old") == ("OK", [b"1"])
        with imap(host) as again:
            again.select("INBOX")
            [flags] = again.fetch("1:*", "(FLAGS)")[1]
            assert b"\\Seen" in flags
            assert b"$Important" in flags


def test_an_idle_client_hears_of_mail_that_is_delivered():
    with Host(SETTINGS) as host:
        deliver(host, "first")
        with imap(host) as client:
            assert client.select("INBOX") == ("OK", [b"1"])
            client.send(b"idling IDLE\r\n")
            assert client.readline().startswith(b"+")
            with host.smtp() as sender:
                sender.sendmail("eve@other.test", [ALICE], text_message("wake up"))
            assert client.readline().rstrip() == b"* 2 EXISTS"
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"idling OK"):
                pass


def test_mail_is_collected_and_deleted_by_pop3_and_keeps_its_uidls():
    with Host(SETTINGS) as host:
        deliver(host, "first", "second")
        with pop3(host) as client:
            assert client.stat()[0] == 2
            ids = client.uidl()[1]
            assert b"Subject: first" in b"\r\n".join(client.retr(1)[1])
            client.dele(1)
        with pop3(host) as again:
            assert [each.split()[1] for each in again.uidl()[1]] == [ids[1].split()[1]]


def test_before_tls_nobody_is_let_in_by_imap_and_a_wrong_password_is_refused():
    with Host(SETTINGS) as host:
        deliver(host, "first")
        plain = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=30)
        with contextlib.closing(plain.sock):
            assert "LOGINDISABLED" in plain.capabilities
            with pytest.raises(imaplib.IMAP4.error):
                plain.login(ALICE, "alice-demo")
            plain.starttls(unverified())
            with contextlib.closing(plain.sock):
                with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                    plain.login(ALICE, "wrong")
                assert plain.login(ALICE, "alice-demo")[0] == "OK"
                plain.logout()


def test_before_tls_nobody_is_let_in_by_pop3():
    with Host(SETTINGS) as host:
        deliver(host, "first")
        post = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=30)
        with contextlib.closing(post.sock):
            with pytest.raises(poplib.error_proto, match="STLS"):
                post.user(ALICE)
            post.stls(unverified())
            with contextlib.closing(post.sock):
                post.user(ALICE)
                assert post.pass_("alice-demo").startswith(b"+OK")
                post.quit()


def test_a_session_goes_on_over_a_reload_and_flags_outlive_a_restart():
    with Host(SETTINGS) as host:
        deliver(host, "first")
        with imap(host) as client:
            client.select("INBOX")
            client.store("1", "+FLAGS", "(\\Answered)")
            old = host.pids("access")
            host.reload()
            wait_until(lambda: set(host.pids("access")) - set(old), host.log)
            assert client.noop()[0] == "OK"
            assert client.fetch("1", "(UID)")[0] == "OK"
        host.restart()
        with imap(host) as other:
            assert other.select("INBOX") == ("OK", [b"1"])
            assert b"\\Answered" in other.fetch("1", "(FLAGS)")[1][0]


def test_who_never_got_mail_finds_an_empty_inbox_and_hears_of_the_first_message():
    with Host(SETTINGS) as host:
        with pop3(host) as post:
            assert post.stat() == (0, 0)
        with imap(host) as client:
            assert client.select("INBOX") == ("OK", [b"0"])
            deliver(host, "the first")
            while client.noop()[0] == "OK" and client.response("EXISTS")[1][-1] != b"1":
                pass
            assert client.fetch("1", "(FLAGS)")[0] == "OK"


def test_an_account_whose_mailbox_cannot_be_served_is_told_so_at_log_in():
    with Host(SETTINGS) as host:
        host.config.write_text(host.config.read_text().replace('"maildir:alice"', '"mbox:alice"'))
        host.restart()
        with pytest.raises(imaplib.IMAP4.error, match="no mailbox here"), imap(host):
            pass
        with pytest.raises(poplib.error_proto, match="no mailbox here"), pop3(host):
            pass
