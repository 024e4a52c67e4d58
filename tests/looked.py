"""A sampler of stacks that looks at a thread of the test's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.stacks import StackSampler


def augment(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    over.wait()


def compute(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    while not over.is_set():
        time.sleep(0.001)


class Looked:
    """A sampler at a thread that is in `augment`, as long as the test goes on."""

    def __init__(
        self,
        unexplained: bool,
        without_loader: bool = False,
        waits: bool = True,
        computing: bool = False,
        behind: bool = False,
        making: str | None = None,
        updating: bool = False,
    ) -> None:
        self.known: list[Callable[[], None]] = []
        """What is to be done once it is known where the script is."""
        self.steps: Any = SimpleNamespace(
            unexplained=unexplained,
            moment=7,
            without_loader=without_loader,
            sees_forward=False,
            computing=computing,
            gaps=[],
            forwards=[],
            making=making,
            updating=updating,
            updates=[],
            is_behind=behind,
            once_known=self.known.append if behind else lambda do: do(),
        )
        begun, self.over = threading.Event(), threading.Event()
        does = augment if waits else compute
        self.thread = threading.Thread(target=does, args=(begun, self.over))
        self.thread.start()
        assert begun.wait(60)
        self.sampler = StackSampler(self.steps, self.thread.ident or 0)

    def samples(self) -> int:
        return len(self.sampler._waiting)

    def end(self) -> None:
        self.sampler.stop()
        self.over.set()
        self.thread.join()


def wait_for(condition: Any) -> None:
    """Return once it is so; a machine that is slow needs longer."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def told(sampler: StackSampler, study: Path) -> list[dict[str, Any]]:
    folder = ProcessFolder(study, time.perf_counter_ns())
    sampler.write(folder)
    sampler.write(folder)
    return [event for event in folder.rank.events.read() if "function" in event]


def special(owner: str, name: str) -> str:
    """Return what a special method of a class is called: with it, where Python tells of which it is."""
    return f"{owner}.{name}" if sys.version_info >= (3, 11) else name
