import asyncio
import contextlib
import os
import resource
import socket
import ssl

import pytest

from penfold.model import ProtocolError
from penfold.net.driver import Closing, Driver, Peer, peer_of
from penfold.net.listener import FULL, Listener, Prefaced, bind_tcp, bind_unix, inherited
from penfold.net.tls import opportunistic, self_signed, server_context

PAIR = self_signed(["mail.example.test", "127.0.0.1"])


class Recorder:
    """A session that writes down what happens to it and lets a test wait for it."""

    def __init__(self):
        self.link = None
        self.said = bytearray()
        self.events = []
        self.changed = asyncio.Event()
        self.keep = []

    def note(self, event):
        self.events.append(event)
        self.changed.set()

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def heard(self, event):
        await self.until(lambda: event in self.events)

    async def gone(self):
        await self.until(lambda: self.events and isinstance(self.events[-1], Closing))
        return self.events[-1]

    def connected(self, link):
        self.link = link
        self.note("connected")

    def received(self, data):
        self.said += data
        self.note("received")

    def eof(self):
        self.note("eof")

    def secured(self, facts):
        self.note("secured")

    def drained(self):
        self.note("drained")

    def on_time(self, now):
        self.note("on_time")

    def closed(self, reason):
        self.note(reason)


class Echo(Recorder):
    def received(self, data):
        super().received(data)
        self.link.write(bytes(data))

    def eof(self):
        super().eof()
        self.link.close()


class Sessions(list):
    """The sessions a listener made, and a way to wait for the first."""

    def __init__(self):
        self.made = asyncio.Event()

    async def first(self):
        await self.made.wait()


@contextlib.asynccontextmanager
async def listening(make=Echo, *, sock=None, driver=None, **options):
    driver = driver or Driver()
    sessions = Sessions()

    def session():
        sessions.append(make())
        sessions.made.set()
        return sessions[-1]

    listener = Listener(driver, [sock or bind_tcp("127.0.0.1", 0)], session, **options)
    listener.start()
    try:
        yield listener, sessions
    finally:
        listener.stop()
        await driver.cut()


async def client_of(listener, **options):
    ip, port = listener.addresses[0]
    return await asyncio.open_connection(ip, port, **options)


def test_octets_come_in_and_go_out(on_loop):
    async def main():
        async with listening() as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"HELO\r\n")
            assert await reader.readexactly(6) == b"HELO\r\n"
            assert sessions[0].link.peer == peer_of(writer.get_extra_info("sockname"))
            assert sessions[0].link.local == listener.addresses[0]
            writer.close()
            assert await sessions[0].gone() == Closing.OURS
            assert sessions[0].events[-2:] == ["eof", Closing.OURS]

    on_loop(main())


def test_ipv6_and_unix_sockets_carry_their_own_kind_of_peer(on_loop, tmp_path):
    async def main():
        async with listening(sock=bind_tcp("::1", 0)) as (listener, sessions):
            _, writer = await client_of(listener)
            writer.write(b"x")
            await asyncio.sleep(0)
            await sessions.first()
            await sessions[0].heard("connected")
            assert sessions[0].link.peer.ip == "::1"
            writer.close()
        path = str(tmp_path / "socket")
        async with listening(sock=bind_unix(path)) as (_, sessions):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"x")
            await reader.readexactly(1)
            assert sessions[0].link.peer == Peer("", 0)
            assert sessions[0].link.credentials[:2] == (os.getpid(), os.getuid())
            writer.close()

    on_loop(main())


def test_mapped_and_scoped_addresses_have_one_form():
    assert peer_of(("::ffff:192.0.2.1", 25, 0, 0)) == Peer("192.0.2.1", 25)
    assert peer_of(("fe80::1%eth0", 25, 0, 2)) == Peer("fe80::1", 25)


def test_a_session_that_keeps_the_view_gets_an_error_instead_of_other_octets(on_loop):
    class Keeper(Echo):
        def received(self, data):
            self.keep.append(data)
            self.link.write(b"ok")

    async def main():
        async with listening(Keeper) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"secret")
            await reader.readexactly(2)
            with pytest.raises(ValueError, match="released"):
                bytes(sessions[0].keep[0])
            writer.close()

    on_loop(main())


def test_a_failing_session_loses_only_its_own_connection(on_loop, caplog):
    class Faulty(Echo):
        def received(self, data):
            if bytes(data) == b"bug":
                raise ZeroDivisionError("planted")
            super().received(data)

    async def main():
        async with listening(Faulty) as (listener, sessions):
            other, stays = await client_of(listener)
            stays.write(b"first")
            await other.readexactly(5)
            reader, writer = await client_of(listener)
            writer.write(b"bug")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            assert sessions[1].events[-1] == Closing.FAULT
            stays.write(b"again")
            assert await other.readexactly(5) == b"again"
            stays.close()
            writer.close()

    on_loop(main())
    assert "planted" in caplog.text


def test_a_deadline_fires_once_and_a_moved_one_only_at_its_last_place(on_loop):
    async def main():
        async with listening() as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"x")
            await reader.readexactly(1)
            link = sessions[0].link
            begin = link.now()
            link.deadline(begin + 0.1)
            link.deadline(begin + 0.3)
            await sessions[0].heard("on_time")
            assert 0.3 <= link.now() - begin < 2
            assert sessions[0].events.count("on_time") == 1
            link.deadline(link.now() + 100)
            link.deadline(None)
            link.deadline(link.now() + 0.05)
            await sessions[0].until(lambda: sessions[0].events.count("on_time") == 2)
            writer.close()

    on_loop(main())


def test_closed_links_leave_nothing_in_the_wheel(on_loop):
    async def main():
        driver = Driver()
        async with listening(driver=driver) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"x")
            await reader.readexactly(1)
            sessions[0].link.deadline(sessions[0].link.now() + 300)
            assert len(driver.wheel) == 1
            writer.close()
            assert await sessions[0].gone() == Closing.OURS
            assert len(driver.wheel) == 0
            assert not driver.links

    on_loop(main())


def test_a_client_that_never_reads_is_not_read_from_and_then_dropped(on_loop):
    class Flood(Recorder):
        def received(self, data):
            super().received(data)
            self.link.write(b"x" * 4_000_000)

    async def main():
        driver = Driver(output_seconds=0.3)
        async with listening(Flood, driver=driver) as (listener, sessions):
            with socket.socket() as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, listener.addresses[0])
                client.send(b"1")
                await sessions.first()
                await sessions[0].heard("received")
                assert sessions[0].link.congested
                assert sessions[0].link.pending > 65536
                client.send(b"2")
                await sessions[0].heard(Closing.STALLED)
                assert sessions[0].said == b"1"

    on_loop(main())


def test_a_slow_reader_is_told_apart_from_one_that_does_not_read(on_loop):
    class Flood(Recorder):
        def received(self, data):
            super().received(data)
            self.link.write(b"x" * 4_000_000)

    async def main():
        async with listening(Flood) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"1")
            assert len(await reader.readexactly(4_000_000)) == 4_000_000
            await sessions[0].heard("drained")
            assert not sessions[0].link.congested
            writer.write(b"2")
            await sessions[0].until(lambda: sessions[0].said == b"12")
            writer.close()

    on_loop(main())


def test_close_sends_what_was_written_first_and_cuts_a_peer_that_does_not_take_it(on_loop):
    class Last(Recorder):
        def received(self, data):
            self.link.write(b"x" * 4_000_000)
            self.link.close()
            self.link.write(b"never sent")

    async def main():
        async with listening(Last) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"1")
            assert len(await reader.read(-1)) == 4_000_000
            assert await sessions[0].gone() == Closing.OURS
            writer.close()
        async with listening(Last, driver=Driver(linger_seconds=0.2)) as (listener, sessions):
            with socket.socket() as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, listener.addresses[0])
                client.send(b"1")
                await sessions.first()
                assert await sessions[0].gone() == Closing.OURS

    on_loop(main())


class LastWord(Recorder):
    """Sends the client away at its first word, while it may still be talking."""

    def received(self, data):
        self.link.write(b"421 enough\r\n")
        self.link.close(linger=True)
        self.note("closing")


def test_a_client_that_goes_on_talking_reads_our_last_word_and_no_reset(on_loop):
    async def main():
        async with listening(LastWord) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"1")
            await sessions.first()
            await sessions[0].heard("closing")
            for _ in range(20):
                writer.write(b"x" * 50_000)
                await writer.drain()
            assert await reader.read() == b"421 enough\r\n"
            assert sessions[0].events == ["connected", "closing"], "nothing of it was for the session"
            writer.close()
            assert await sessions[0].gone() == Closing.OURS

    on_loop(main())


def test_lingering_lets_a_paused_link_read_again(on_loop):
    class Paused(LastWord):
        def connected(self, link):
            super().connected(link)
            link.pause()
            link.write(b"421 enough\r\n")
            link.close(linger=True)

    async def main():
        async with listening(Paused) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            assert await reader.read() == b"421 enough\r\n"
            writer.close()
            assert await sessions[0].gone() == Closing.OURS

    on_loop(main())


def test_lingering_ends_by_itself(on_loop):
    async def main():
        async with listening(LastWord, driver=Driver(linger_seconds=0.2)) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"1")
            assert await reader.read() == b"421 enough\r\n"
            assert await sessions[0].gone() == Closing.OURS
            writer.close()

    on_loop(main())


def test_a_client_that_has_said_its_last_is_not_lingered_over(on_loop):
    class AtTheEnd(Recorder):
        def eof(self):
            self.link.write(b"421 gone\r\n")
            self.link.close(linger=True)

    async def main():
        async with listening(AtTheEnd, driver=Driver(linger_seconds=60)) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write_eof()
            assert await reader.read() == b"421 gone\r\n"
            assert await sessions[0].gone() == Closing.OURS
            writer.close()

    on_loop(main())


def test_pause_holds_octets_back_until_resume(on_loop):
    async def main():
        async with listening() as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"1")
            await reader.readexactly(1)
            sessions[0].link.pause()
            sessions[0].link.pause()
            writer.write(b"2")
            other_reader, other = await client_of(listener)
            for _ in range(3):  # whatever waited in the loop has had its turn after a few round trips
                other.write(b"x")
                await other_reader.readexactly(1)
            assert sessions[0].said == b"1"
            sessions[0].link.resume()
            assert await reader.readexactly(1) == b"2"
            writer.close()
            other.close()

    on_loop(main())


class Starttls(Echo):
    def received(self, data):
        self.said += data
        if not self.link.tls and b"STARTTLS\r\n" in self.said:
            self.link.write(b"220 ready\r\n")
            self.link.start_tls(server_context(PAIR))
            self.said.clear()
        elif self.link.tls:
            self.link.write(b"<" + bytes(data) + b">")
        self.note("received")


def test_starttls_secures_the_link(on_loop):
    async def main():
        async with listening(Starttls) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"220 ready\r\n"
            await writer.start_tls(opportunistic(), server_hostname="mail.example.test")
            writer.write(b"NOOP")
            assert await reader.readexactly(6) == b"<NOOP>"
            assert sessions[0].link.tls.version == "TLSv1.3"
            assert sessions[0].events.count("secured") == 1
            writer.close()
            await sessions[0].heard("eof")

    on_loop(main())


def test_what_was_said_in_one_read_with_starttls_is_never_heard(on_loop):
    async def main():
        async with listening(Starttls) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"STARTTLS\r\nMAIL FROM:<injected@example.test>\r\n")
            assert await reader.readline() == b"220 ready\r\n"
            await writer.start_tls(opportunistic(), server_hostname="mail.example.test")
            writer.write(b"NOOP")
            assert await reader.readexactly(6) == b"<NOOP>"
            assert bytes(sessions[0].said) == b"NOOP"
            writer.close()
            await sessions[0].gone()

    on_loop(main())


def test_what_is_said_in_the_clear_instead_of_a_handshake_ends_the_link(on_loop):
    async def main():
        async with listening(Starttls) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"220 ready\r\n"
            writer.write(b"MAIL FROM:<injected@example.test>\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            assert await sessions[0].gone() == Closing.TLS
            assert b"injected" not in sessions[0].said
            assert "secured" not in sessions[0].events
            writer.close()

    on_loop(main())


def test_a_link_can_be_cut_during_the_handshake(on_loop):
    async def main():
        async with listening(Starttls) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"220 ready\r\n"
            await asyncio.sleep(0)
            sessions[0].link.abort()
            assert await sessions[0].gone() == Closing.OURS
            writer.close()

    on_loop(main())


def test_implicit_tls_begins_the_session_after_the_handshake(on_loop):
    async def main():
        context = server_context(PAIR)
        async with listening(tls=lambda: context) as (listener, sessions):
            reader, writer = await client_of(listener, ssl=opportunistic(), server_hostname="mail.example.test")
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert sessions[0].events[0] == "connected"
            assert sessions[0].link.tls.cipher.startswith("TLS_")
            assert "secured" not in sessions[0].events
            writer.close()
            assert await sessions[0].gone() == Closing.OURS

    on_loop(main())


def test_octets_sent_together_with_the_end_of_the_handshake_arrive_once_and_in_order(on_loop):
    """The client's Finished and its first data in one segment: read before whoever awaits the handshake wakes up."""

    async def main():
        context = server_context(PAIR)
        async with listening(tls=lambda: context) as (listener, sessions):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = opportunistic().wrap_bio(incoming, outgoing, server_hostname="mail.example.test")
            reader, writer = await client_of(listener)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            for piece in (b"one ", b"two ", b"three"):
                client.write(piece)
            writer.write(outgoing.read())
            await sessions.first()
            await sessions[0].until(lambda: sessions[0].said == b"one two three")
            assert sessions[0].events[0] == "connected"
            writer.close()
            await sessions[0].gone()

    on_loop(main())


def test_garbage_instead_of_a_handshake_makes_no_session(on_loop):
    async def main():
        context = server_context(PAIR)
        driver = Driver()
        async with listening(tls=lambda: context, driver=driver) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"EHLO plain.example.test\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            await driver.drain(5)
            assert sessions[0].events == []

    on_loop(main())


def test_a_connection_over_the_limit_reads_421(on_loop):
    async def main():
        async with listening(limit=1) as (listener, _):
            first_reader, first = await client_of(listener)
            first.write(b"x")
            await first_reader.readexactly(1)
            reader, writer = await client_of(listener)
            assert await reader.read() == FULL
            assert listener.refused == 1
            first.close()
            writer.close()

    on_loop(main())


def test_a_client_that_is_not_admitted_reads_its_own_refusal(on_loop):
    async def main():
        async with listening(admit=lambda peer: b"421 " + peer.ip.encode()) as (listener, sessions):
            reader, writer = await client_of(listener)
            assert await reader.read() == b"421 127.0.0.1"
            assert sessions == []
            writer.close()

    on_loop(main())


def test_a_full_descriptor_table_answers_421_and_recovers(on_loop):
    async def main():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        async with listening() as (listener, _):
            clients = [socket.socket() for _ in range(3)]
            address = tuple(listener.addresses[0])
            probe = os.open("/dev/null", os.O_RDONLY)
            os.close(probe)
            loop = asyncio.get_running_loop()
            held = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 8, hard))
            try:
                while True:
                    try:
                        held.append(os.open("/dev/null", os.O_RDONLY))
                    except OSError:
                        break
                for client in clients[:2]:
                    client.connect(address)
                    client.setblocking(False)
                    assert await loop.sock_recv(client, 100) == FULL
                for descriptor in held:
                    os.close(descriptor)
                clients[2].connect(address)
                clients[2].send(b"again")
                clients[2].setblocking(False)
                assert await loop.sock_recv(clients[2], 100) == b"again"
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for client in clients:
                    client.close()

    on_loop(main())


def read_preface(seen):
    line, end, _ = seen.partition(b"\n")
    if not line.startswith(b"VIA "[: len(line)]):
        raise ProtocolError("no preface")
    return Prefaced(len(line) + 1, Peer(line[4:].decode(), 99)) if end else None


def test_a_preface_names_the_real_client_and_leaves_what_follows(on_loop):
    async def main():
        async with listening(preface=read_preface) as (listener, sessions):
            reader, writer = await client_of(listener)
            for piece in (b"VIA 192", b".0.2.7\nEHLO"):
                writer.write(piece)
                await asyncio.sleep(0.02)
            assert await reader.readexactly(4) == b"EHLO"
            assert sessions[0].link.peer == Peer("192.0.2.7", 99)
            assert sessions[0].said == b"EHLO"
            writer.close()

    on_loop(main())


def test_a_preface_stands_before_an_implicit_handshake(on_loop):
    async def main():
        context = server_context(PAIR)
        async with listening(preface=read_preface, tls=lambda: context) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"VIA 192.0.2.7\n")
            await writer.start_tls(opportunistic(), server_hostname="mail.example.test")
            writer.write(b"EHLO")
            assert await reader.readexactly(4) == b"EHLO"
            assert sessions[0].link.peer.ip == "192.0.2.7"
            writer.close()
            assert await sessions[0].gone() == Closing.OURS

    on_loop(main())


@pytest.mark.parametrize("said", [b"EHLO x\n", b"", b"VIA "])
def test_a_client_without_the_preface_is_refused(on_loop, said):
    async def main():
        async with listening(preface=read_preface, preface_seconds=0.2) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(said)
            if not said:
                writer.write_eof()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert sessions == []
            writer.close()

    on_loop(main())


class Polite(Echo):
    def drain(self):
        self.link.write(b"421 going\r\n")
        self.link.close()


def test_drain_lets_sessions_say_goodbye(on_loop):
    async def main():
        driver = Driver()
        async with listening(Polite, driver=driver) as (listener, _):
            reader, writer = await client_of(listener)
            writer.write(b"x")
            await reader.readexactly(1)
            listener.stop()
            waiting = asyncio.ensure_future(driver.drain(5))
            assert await reader.read() == b"421 going\r\n"
            writer.close()
            await waiting

    on_loop(main())


def test_a_client_accepted_just_before_the_end_hears_of_it(on_loop):
    class Leaving(Recorder):
        leaving = False

        def drain(self):
            self.leaving = True

        def connected(self, link):
            assert self.leaving
            link.write(b"421 going\r\n")
            link.close(linger=True)

    async def main():
        driver = Driver()
        client, server = socket.socketpair()
        for sock in (client, server):
            sock.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=client)
        driver.attach(server, Leaving())
        ending = asyncio.ensure_future(driver.drain(5))
        assert await reader.read() == b"421 going\r\n"
        writer.close()
        await ending

    on_loop(main())


def test_drain_cuts_sessions_that_do_not_end_in_time(on_loop):
    async def main():
        driver = Driver()
        async with listening(driver=driver) as (listener, sessions):
            reader, writer = await client_of(listener)
            writer.write(b"x")
            await reader.readexactly(1)
            listener.stop()
            await driver.drain(0.05)
            assert sessions[0].events[-1] == Closing.OURS
            writer.close()

    on_loop(main())


def test_a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not(tmp_path):
    path = str(tmp_path / "socket")
    bind_unix(path).close()
    live = bind_unix(path)
    with pytest.raises(OSError, match="in use"):
        bind_unix(path)
    live.close()
    os.unlink(path)
    (tmp_path / "socket").write_text("mail")
    with pytest.raises(OSError, match="in use"):
        bind_unix(path)
    assert (tmp_path / "socket").read_text() == "mail"


def test_a_listening_socket_can_be_inherited(on_loop):
    async def main():
        bound = bind_tcp("127.0.0.1", 0)
        async with listening(sock=inherited(bound.detach())) as (listener, _):
            reader, writer = await client_of(listener)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()

    on_loop(main())


def test_every_admitted_connection_is_released_once_whatever_became_of_it(on_loop):
    async def main():
        context = server_context(PAIR)
        driver = Driver()
        released = []
        admit = iter([None, None, b"421 no\r\n"])
        async with listening(
            driver=driver, tls=lambda: context, admit=lambda peer: next(admit), release=released.append
        ) as (listener, _sessions):
            reader, good = await client_of(listener, ssl=opportunistic(), server_hostname="mail.example.test")
            good.write(b"x")
            await reader.readexactly(1)
            reader, bad = await client_of(listener)
            bad.write(b"no handshake\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            reader, refused = await client_of(listener)
            assert await reader.read() == b""
            for writer in (good, bad, refused):
                writer.close()
            await driver.drain(5)
            assert len(released) == 2
            assert {peer.ip for peer in released} == {"127.0.0.1"}

    on_loop(main())


def test_drain_does_not_wait_for_handshakes_that_never_come(on_loop):
    async def main():
        context = server_context(PAIR)
        driver = Driver()
        async with listening(Polite, driver=driver, tls=lambda: context) as (listener, sessions):
            _, writer = await client_of(listener)
            await sessions.first()
            await driver.drain(60)
            assert sessions[0].events == []
            writer.close()

    on_loop(main())


def test_a_link_can_be_cut_at_any_moment_of_its_opening(on_loop):
    async def main():
        for turns in range(6):
            driver = Driver()
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            session = Recorder()
            link = driver.attach(ours, session)
            for _ in range(turns):
                await asyncio.sleep(0)
            link.abort()
            await driver.drain(5)
            assert not driver.links
            assert session.events in ([], ["connected", Closing.OURS])
            theirs.close()

    on_loop(main())
