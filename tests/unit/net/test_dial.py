import asyncio
import socket
import ssl

import pytest

from penfold.net.dial import NoConnection, dial, dial_unix
from penfold.net.driver import Closing, Driver, Peer
from penfold.net.listener import Listener, bind_tcp, bind_unix
from penfold.net.tls import TlsFacts, opportunistic, self_signed, server_context, verified

PAIR = self_signed(["mail.example.test"])


class Talker:
    def __init__(self, answer=None):
        self.answer = answer
        self.said = bytearray()
        self.facts = None
        self.reason = None
        self.changed = asyncio.Event()

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    def connected(self, link):
        self.link = link
        self.changed.set()

    def received(self, data):
        self.said += data
        if self.answer:
            self.link.write(self.answer)
        self.changed.set()

    def eof(self):
        self.link.close()

    def secured(self, facts):
        self.facts = facts
        self.changed.set()

    def drained(self):
        pass

    def on_time(self, now):
        pass

    def closed(self, reason):
        self.reason = reason
        self.changed.set()


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return Peer(*sock.getsockname())


def serving(on_loop, body, *, sock=None, answer=b"pong", **options):
    async def main():
        driver = Driver(linger_seconds=1.0)
        sessions = []

        def session():
            sessions.append(Talker(answer))
            return sessions[-1]

        listener = Listener(driver, [sock or bind_tcp("127.0.0.1", 0)], session, **options)
        listener.start()
        try:
            await body(driver, listener.addresses[0], sessions)
        finally:
            listener.stop()
            await driver.cut()

    on_loop(main())


def test_the_first_address_that_answers_is_used(on_loop):
    async def body(driver, address, sessions):
        talker = Talker()
        link = await dial(driver, [closed_port(), closed_port(), address], talker)
        assert link.peer == address
        link.write(b"ping")
        await talker.until(lambda: talker.said == b"pong")
        link.close()
        await talker.until(lambda: talker.reason)
        assert talker.reason == Closing.OURS

    serving(on_loop, body)


def test_when_none_answers_each_is_accounted_for(on_loop):
    async def main():
        ports = [closed_port(), closed_port()]
        with pytest.raises(NoConnection) as nobody:
            await dial(Driver(), ports, Talker())
        assert [address for address, _ in nobody.value.tried] == ports
        assert all(isinstance(error, ConnectionRefusedError) for _, error in nobody.value.tried)
        with pytest.raises(NoConnection):
            await dial(Driver(), [], Talker())

    on_loop(main())


def test_a_silent_address_costs_its_time_and_no_more(on_loop):
    async def main():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = Peer(*full.getsockname())
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            with pytest.raises(NoConnection) as nobody:
                await dial(Driver(), [address], Talker(), seconds=0.1)
            assert isinstance(nobody.value.tried[0][1], TimeoutError)
            for filler in fillers:
                filler.close()

    on_loop(main())


def test_the_source_address_of_the_right_family_is_used(on_loop):
    async def body(driver, address, sessions):
        talker = Talker()
        link = await dial(driver, [address], talker, source=["::1", "127.0.0.77"])
        assert link.local.ip == "127.0.0.77"
        link.write(b"ping")
        await talker.until(lambda: talker.said)
        assert sessions[0].link.peer.ip == "127.0.0.77"

    serving(on_loop, body)


def test_a_unix_socket_is_dialled(on_loop, tmp_path):
    path = str(tmp_path / "socket")

    async def body(driver, address, sessions):
        talker = Talker()
        link = await dial_unix(driver, path, talker)
        link.write(b"ping")
        await talker.until(lambda: talker.said == b"pong")

    serving(on_loop, body, sock=bind_unix(path))


def test_implicit_tls_verifies_the_name(on_loop):
    context = server_context(PAIR)

    async def body(driver, address, sessions):
        talker = Talker()
        link = await dial(
            driver, [address], talker, tls=verified(PAIR.certificate), server_hostname="mail.example.test"
        )
        assert isinstance(link.tls, TlsFacts)
        assert (link.tls.name, link.tls.verified) == ("mail.example.test", True)
        link.write(b"ping")
        await talker.until(lambda: talker.said == b"pong")
        with pytest.raises(ssl.SSLCertVerificationError):
            await dial(driver, [address], Talker(), tls=verified(PAIR.certificate), server_hostname="other.test")

    serving(on_loop, body, tls=lambda: context)


class Upgrading(Talker):
    def __init__(self, context):
        super().__init__()
        self.context = context

    def received(self, data):
        self.said += data
        if self.said == b"go":
            self.said.clear()
            self.link.start_tls(self.context, client=True, server_hostname="mail.example.test")
        self.changed.set()


class Upgraded(Talker):
    def received(self, data):
        self.said += data
        if self.said == b"STARTTLS":
            self.link.write(b"go")
            self.link.start_tls(server_context(PAIR))
        elif self.link.tls:
            self.link.write(b"pong")
        self.changed.set()


@pytest.mark.parametrize("name", ["opportunistic", "verified"])
def test_a_client_session_upgrades_its_link(on_loop, name):
    contexts = {"opportunistic": opportunistic, "verified": lambda: verified(PAIR.certificate)}

    async def main():
        driver = Driver()
        listener = Listener(driver, [bind_tcp("127.0.0.1", 0)], Upgraded)
        listener.start()
        talker = Upgrading(contexts[name]())
        link = await dial(driver, [listener.addresses[0]], talker)
        link.write(b"STARTTLS")
        await talker.until(lambda: talker.facts)
        assert talker.facts.verified == (name == "verified")
        link.write(b"ping")
        await talker.until(lambda: talker.said == b"pong")
        listener.stop()
        await driver.cut()

    on_loop(main())


def test_a_certificate_of_somebody_else_ends_the_link_with_the_reason(on_loop):
    async def main():
        driver = Driver()
        listener = Listener(driver, [bind_tcp("127.0.0.1", 0)], Upgraded)
        listener.start()
        talker = Upgrading(verified(self_signed(["mail.example.test"]).certificate))
        link = await dial(driver, [listener.addresses[0]], talker)
        link.write(b"STARTTLS")
        await talker.until(lambda: talker.reason)
        assert talker.reason == Closing.TLS
        assert "verify failed" in link.error
        listener.stop()
        await driver.cut()

    on_loop(main())
