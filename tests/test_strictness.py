"""The run itself is strict; were it not, other tests would pass that should not."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import pytest
from blockbuster import BlockingError

import wsrequest


async def test_a_blocking_call_of_the_package_on_the_loop_fails():
    somewhere_in_it = str(Path(wsrequest.__file__).with_name("planted.py"))
    code = compile("import time\ntime.sleep(0)", somewhere_in_it, "exec")
    with pytest.raises(BlockingError):
        exec(code)
    await asyncio.to_thread(exec, code)


async def test_asyncio_is_in_debug_mode():
    assert asyncio.get_running_loop().get_debug()


def test_a_warning_is_an_error():
    with pytest.raises(DeprecationWarning):
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)
