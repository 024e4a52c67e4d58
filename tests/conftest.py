"""What every test may rely on: no settings of the user's, data made into a folder of the session's own."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# a shell that starts tests in the background ignores these, and what they start would inherit that
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(_number, _usual)


# tests share the cores with each other and with the processes they start: a thread that waits for its like by
# spinning takes a core from them. Before torch is loaded, which reads this once
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

# how long an example takes depends on what else the machine does; nothing is timed in a test
settings.register_profile("perfkit", deadline=None)
settings.load_profile("perfkit")

_USERS = (
    "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PERFKIT_CACHE_DIR", "PERFKIT_PATH",
    # each process that is started would compile perfkit anew
    "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in _USERS:
            patch.delenv(name, raising=False)
        cache = _of_the_session(tmp_path_factory) / "cache"
        cache.mkdir(exist_ok=True)
        patch.setenv("PERFKIT_CACHE_DIR", str(cache))
        yield


def _of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all pytest processes of a run share: what one has made the other finds."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is none; torch is asked only if there are such tests."""
    marked = [item for item in items if item.get_closest_marker("gpu") is not None]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="torch sees no CUDA device here")
        for item in marked:
            item.add_marker(skip)
