"""What a test needs and this machine may lack: elsewhere the test is skipped, in CI it fails."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """End the test for want of something: skipped, or failed in CI, where nothing may be skipped."""
    if os.environ.get("PENFOLD_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, *elsewhere: str) -> str:
    """Find a program on the path, or in further folders."""
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(elsewhere))
    return found or missing(f"{name} is not installed")
