"""The pickup format: how the ``sendmail`` command hands a message over, through a socket or as a file in ``maildrop/``.

One format for both ways, so there is one parser to trust::

    PENFOLD PICKUP 1
    sender ada@example.org            (any order; a field may be missing; `recipient` may repeat)
    recipient bob@example.net
    from-header yes                   (-t: recipients stand in the header)

    4096
    ...4096 octets of the message, line ends as the program wrote them...
    0

Only a final ``0`` makes it whole: a program that dies half-way leaves nothing that could be mistaken for a message.
The daemon answers on the socket with lines ``CODE STATUS TEXT`` and closes. This package needs nothing but the
language itself, because the command that uses it must start in milliseconds; so the names stand in ``reader`` and
``writer``, and nothing is imported here.

Trust: written by local users; every field and length is checked by the reader, and the sender by its owner.
"""
