"""The line between the supervisor and a role."""

import os

from penfold.net.leash import Drain, Failed, Join, Leash, Ready


def test_messages_keep_their_borders_and_order():
    ours, theirs = Leash.pair()
    for message in (Ready(), Drain(5.0), Failed("no disk")):
        assert ours.send(message)
    assert [theirs.receive()[0] for _ in range(3)] == [Ready(), Drain(5.0), Failed("no disk")]
    ours.close()
    theirs.close()


def test_a_descriptor_comes_along_and_is_a_copy():
    ours, theirs = Leash.pair()
    reading, writing = os.pipe()
    ours.send(Join("queue", 0, 1), writing)
    os.close(writing)
    message, (passed,) = theirs.receive()
    os.write(passed, b"x")
    os.close(passed)
    assert (message, os.read(reading, 9)) == (Join("queue", 0, 1), b"x")
    for end in (ours, theirs):
        end.close()
    os.close(reading)


def test_an_end_that_closed_is_seen_by_the_other_as_the_end():
    ours, theirs = Leash.pair()
    theirs.close()
    assert ours.receive() is None
    assert ours.send(Ready()) is False
    ours.close()


def test_an_end_survives_an_exec_by_its_number():
    ours, theirs = Leash.pair()
    number = theirs.inherit()
    assert os.get_inheritable(number)
    adopted = Leash.adopt(os.dup(number))
    ours.send(Ready())
    assert adopted.receive()[0] == Ready()
    for end in (ours, theirs, adopted):
        end.close()
