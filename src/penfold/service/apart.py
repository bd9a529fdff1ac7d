"""Parsing apart: what root must read but not parse is parsed by a forked child that may read files and nothing else.

SECURITY: the administrator's files may name secrets, so only root or a role's own user may read them; a parser with
root's rights would be a parser whose bugs are root's. The child answers with values of ours; those are all that is
decoded here. Without root there is nothing to give up, and the work is done in place.
"""

import os
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

from penfold.model import ConfigError
from penfold.service import privileges

T = TypeVar("T")


class _Problem(msgspec.Struct, array_like=True, tag="problem"):
    """What is wrong with a file."""

    problem: str
    file: str
    line: int
    column: int
    hint: str


def apart(work: Callable[[], T], answer: Any) -> T:  # noqa: ANN401 - a type, for msgspec
    """Do ``work`` (which gives a value of type ``answer``) without rights. Raises ConfigError, as ``work`` does."""
    if os.geteuid() != 0:
        return work()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(work, reading, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if not said:
        raise ConfigError("the process that reads the configuration failed")
    if said[:1] == b"!":
        problem = msgspec.msgpack.decode(said[1:], type=_Problem)
        raise ConfigError(
            problem.problem, file=problem.file, line=problem.line, column=problem.column, hint=problem.hint
        )
    value: T = msgspec.msgpack.decode(said[1:], type=answer)
    return value


def _be_child(work: Callable[[], object], reading: int, writing: int) -> NoReturn:
    code = 1
    try:
        os.close(reading)
        privileges.become_reader()
        try:
            octets = b"=" + msgspec.msgpack.encode(work())
        except ConfigError as error:
            said = _Problem(error.problem, error.file, error.line, error.column, error.hint)
            octets = b"!" + msgspec.msgpack.encode(said)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(octets)
        code = 0
    except BaseException:  # noqa: BLE001 - the parent hears of it by the empty answer
        traceback.print_exc()
    finally:
        os._exit(code)
