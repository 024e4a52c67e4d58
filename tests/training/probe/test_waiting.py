"""What a thread's stack shows that it waits in, and whether a network computes."""

from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from perfkit.training.probe.frames import in_network, waits_in


def sleep_until(over: threading.Event) -> None:
    """Computes nothing, and waits for nobody."""
    while not over.is_set():
        time.sleep(0.01)


def seen_to_wait_in(thread: threading.Thread, name: str) -> bool:
    """Whether it comes to that; starting it takes a moment."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and waits_in(frame) == name:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("waits", "name"),
    [
        (lambda ready, over: ready.get(), "get"),
        (lambda ready, over: over.wait(), "wait"),
        (lambda ready, over: sleep_until(over), ""),
    ],
)
def test_what_a_thread_waits_in_for_another_is_named(waits: Callable[..., Any], name: str) -> None:
    """As it is called from outside of Python's own library; a sleep waits for nobody."""
    ready: queue.Queue[int] = queue.Queue()
    over = threading.Event()
    thread = threading.Thread(target=waits, args=(ready, over))
    thread.start()
    found = seen_to_wait_in(thread, name)
    ready.put(1)
    over.set()
    thread.join()
    assert found


def test_a_queue_of_another_process_is_waited_for_alike() -> None:
    """It ends in a pipe, not in a lock."""
    ready: Any = multiprocessing.get_context("spawn").Queue()
    thread = threading.Thread(target=lambda: ready.get())
    thread.start()
    found = seen_to_wait_in(thread, "get")
    ready.put(1)
    thread.join()
    assert found


class Looks(nn.Module):
    """A network of the user's own that looks at the stack, itself or in a layer's hook."""

    def __init__(self, in_layer: bool) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.found: list[bool] = []
        if in_layer:
            self.layer.forward = self.look  # type: ignore[method-assign]

    def look(self, *_: Any) -> None:
        """Called by torch's code in the one case; its own frame is left out."""
        self.found.append(in_network(sys._getframe().f_back))

    def forward(self, x: int) -> None:
        self.layer(x)
        if not self.found:
            self.look()


@pytest.mark.parametrize("in_layer", [True, False])
def test_a_layer_that_computes_is_told_from_code_of_the_network_s_own(in_layer: bool) -> None:
    """A layer is called by torch's code, and so is the network; the innermost of the user's counts."""
    network = Looks(in_layer)
    network(1)
    assert network.found == [in_layer]
