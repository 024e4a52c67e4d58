"""What a thread's stack shows that it waits in."""

from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from perfkit.training.probe.frames import waits_in


@pytest.mark.parametrize(
    ("waits", "name"),
    [
        (lambda ready, over: ready.get(), "get"),
        (lambda ready, over: over.wait(), "wait"),
        (lambda ready, over: time.sleep(0.5), ""),
    ],
)
def test_what_a_thread_waits_in_for_another_is_named(waits: Callable[..., Any], name: str) -> None:
    """As it is called from outside of Python's own library; a sleep waits for nobody."""
    ready: queue.Queue[int] = queue.Queue()
    over = threading.Event()
    thread = threading.Thread(target=waits, args=(ready, over))
    thread.start()
    time.sleep(0.1)
    frame = sys._current_frames()[thread.ident or 0]
    found = waits_in(frame)
    ready.put(1)
    over.set()
    thread.join()
    assert found == name


def test_a_queue_of_another_process_is_waited_for_alike() -> None:
    """It ends in a pipe, not in a lock."""
    ready: Any = multiprocessing.get_context("spawn").Queue()
    thread = threading.Thread(target=lambda: ready.get())
    thread.start()
    time.sleep(0.2)
    frame = sys._current_frames()[thread.ident or 0]
    found = waits_in(frame)
    ready.put(1)
    thread.join()
    assert found == "get"
