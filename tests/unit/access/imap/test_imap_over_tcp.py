"""Sessions behind the real driver and listener, read by Python's imaplib and by a client that does not read."""

import asyncio
import contextlib
import imaplib
import queue
import socket
import ssl
import threading
import time
import zlib
from random import Random

import pytest
from conformance.imap_runner import MESSAGES, PASSWORDS, Judge, Log

from penfold.access.imap.commands import CAPABILITIES
from penfold.access.imap.service import Service
from penfold.access.imap.session import ImapSession
from penfold.message.summary import summary
from penfold.net.driver import Driver
from penfold.net.listener import Listener, bind_tcp
from penfold.net.tls import self_signed, server_context
from penfold.protocols.imap.settings import Settings
from penfold.store import AccountId, Append, CreateAccount, Message
from penfold.store.memory import MemoryStore
from penfold.transport.receive.login import SaslLogin

LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000  # 15 MB


async def _host(serve, over, contents):
    driver, loop = Driver(), asyncio.get_running_loop()
    store = MemoryStore(clock=time.time, random=Random(1).randbytes, summarise=summary)
    for name in PASSWORDS:
        (made,) = await store.apply([CreateAccount(AccountId(name))])
        await store.apply([Append(AccountId(name), made.mailbox, tuple(map(Message, contents)))])
    service = Service(
        store=store,
        settings=Settings(
            hostname="imap.test",
            capabilities=CAPABILITIES,
            clear_login=True,
            starttls=True,
            mechanisms=("PLAIN",),
            tls_mechanisms=("PLAIN",),
        ),
        spawn=driver.spawn,
        soon=loop.call_soon,
        clock=time.time,
        log=Log(),
        login=lambda mechanism, client, tls: SaslLogin(Judge(), mechanism, client, nonce="serverNonce0123456789"),
        sharing=store,
        tls=server_context(self_signed(["imap.test"])),
    )
    listener = Listener(
        driver, [bind_tcp("127.0.0.1", 0)], lambda: ImapSession(service, "Ai000001"), refusal=b"* BYE Full\r\n"
    )
    listener.start()
    serve(listener.addresses[0].port)
    await over.wait()
    listener.stop()
    await driver.cut()
    assert not [entry for entry in service.log.seen if entry[0] == "fault"]


@contextlib.contextmanager
def serving(*contents):
    """Serve sessions on a loopback port."""
    ports = queue.SimpleQueue()
    faults = []

    async def main():
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        await _host(lambda port: ports.put((port, lambda: loop.call_soon_threadsafe(over.set))), over, contents)

    def run():
        try:
            asyncio.run(main())
        except BaseException as error:
            faults.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    port, stop = ports.get(timeout=10)
    try:
        yield port
    finally:
        stop()
        thread.join(15)
    assert not faults


def logged_in(port):
    client = imaplib.IMAP4("127.0.0.1", port, timeout=10)
    client.login("alice", "alice-demo")
    return client


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_imaplib_reads_flags_moves_and_searches_mail_under_tls():
    with serving(*MESSAGES) as port, imaplib.IMAP4("127.0.0.1", port, timeout=10) as client:
        assert client.starttls(unverified())[0] == "OK"
        client.login("alice", "alice-demo")
        assert client.select() == ("OK", [b"3"])
        assert client.search(None, "FROM", "carol") == ("OK", [b"2"])
        assert client.fetch("1", "(BODY[])")[1][0][1] == MESSAGES[0]
        assert client.store("2", "+FLAGS", "\\Flagged")[0] == "OK"
        assert client.create("Archive")[0] == "OK"
        assert client.uid("MOVE", "1", "Archive")[0] == "OK"
        assert client.append("INBOX", "\\Seen", None, b"Subject: new\n\nhello\n")[0] == "OK"
        assert client.uid("SEARCH", "SUBJECT", "new") == ("OK", [b"4"])
        assert client.sort("REVERSE DATE", "UTF-8", "ALL")[0] == "OK"
        assert client.thread("REFERENCES", "UTF-8", "ALL")[0] == "OK"
        assert client.list()[1][-1] == b'(\\HasNoChildren) "/" Archive' or len(client.list()[1]) == 2
        assert client.expunge()[0] == "OK"
        assert client.close()[0] == "OK"


def test_one_session_hears_of_what_another_does():
    with serving(*MESSAGES) as port, logged_in(port) as one, logged_in(port) as other:
        one.select()
        other.select()
        one.send(b"i IDLE\r\n")
        assert one.readline() == b"+ idling\r\n"
        other.store("2", "+FLAGS", "\\Deleted")
        assert one.readline() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted \\Recent))\r\n"
        other.expunge()
        assert one.readline() == b"* 2 EXPUNGE\r\n"
        one.send(b"DONE\r\n")
        assert one.readline() == b"i OK IDLE completed\r\n"


def test_compressed_all_is_as_before():
    deflate, inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    with serving(*MESSAGES) as port, socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"a LOGIN alice alice-demo\r\nc COMPRESS DEFLATE\r\n")
        clear = b""
        while not clear.endswith(b"c OK DEFLATE active\r\n"):
            clear += client.recv(4096)
        for command in (b"d FETCH 1 FLAGS\r\n", b"e STATUS INBOX (MESSAGES)\r\n", b"f LOGOUT\r\n"):
            client.sendall(deflate.compress(command) + deflate.flush(zlib.Z_SYNC_FLUSH))
        text = b""
        while octets := client.recv(4096):
            text += inflate.decompress(octets)
        assert b"* STATUS INBOX (MESSAGES 3)\r\ne OK STATUS completed\r\n" in text
        assert text.endswith(b"f OK LOGOUT completed\r\n")


@pytest.mark.parametrize("items", ["BODY.PEEK[]", "BODY.PEEK[TEXT]"])
def test_a_client_that_stops_reading_holds_up_nobody_and_gets_all_in_the_end(items):
    with serving(*[LARGE] * 2) as port, socket.create_connection(("127.0.0.1", port), 10) as slow:
        slow.sendall(b"a LOGIN alice alice-demo\r\nb SELECT INBOX\r\nc FETCH 1:2 %b\r\nd NOOP\r\n" % items.encode())
        with logged_in(port) as other:
            assert other.select() == ("OK", [b"2"])
        got = bytearray()
        while not got.endswith(b"d OK NOOP completed\r\n"):
            got += slow.recv(1 << 20)
        assert got.count(b"x" * 76 + b"\r\n") == 400_000
