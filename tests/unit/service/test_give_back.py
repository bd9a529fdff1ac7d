"""What is freed in large blocks leaves the process."""

import ctypes
import os
import re
import sys
from pathlib import Path

import pytest

from penfold.service import memory

_BLOCK = 19 * 1024 * 1024


def resident():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt") or sys.platform != "linux", reason="glibc only")
def test_a_large_block_goes_back_to_the_system_when_it_is_freed_again_and_again():
    child = os.fork()
    if child == 0:
        code = 1
        try:
            memory.give_back()
            libc = ctypes.CDLL(None)
            libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            before = resident()
            for _ in range(3):
                block = libc.malloc(ctypes.c_size_t(_BLOCK))
                ctypes.memset(block, 1, _BLOCK)
                libc.free(block)
            code = 0 if resident() - before < _BLOCK // 4 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
