"""What makes the batch that a training without a loader waits for."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import FrameType

import pytest
from looked import Looked, told, wait_for

from perfkit.training.attach.stacks import StackSampler
from perfkit.training.probe.frames import Seen


def busy(over: list[bool]) -> None:
    """Makes a batch, without a call of Python's own library in which it could seem to wait."""
    while not over:
        time.sleep(0.001)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_makes_the_batch_that_is_waited_for_is_seen(threads: int) -> None:
    """One thread that does something while the training waits; of two, either may be it."""
    looked = Looked(unexplained=True, without_loader=True)
    over: list[bool] = []
    makers = [threading.Thread(target=busy, args=(over,)) for _ in range(threads)]
    for one in makers:
        one.start()
    numbers = {one.ident for one in (looked.thread, looked.sampler._sampling, *makers)}

    def frames() -> dict[int, FrameType]:
        return {n: frame for n, frame in sys._current_frames().items() if n in numbers}

    try:
        wait_for(lambda: all(frames()[one.ident or 0].f_code is busy.__code__ for one in makers))
        maker = looked.sampler._maker(frames())
    finally:
        over.append(True)
        looked.end()
        for one in makers:
            one.join()
    if threads == 1:
        assert maker is not None and maker.function == "busy"
    else:
        assert maker is None


@pytest.mark.parametrize("without_loader", [True, False])
def test_what_another_thread_does_is_told_as_the_making_of_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_loader: bool
) -> None:
    """Where the steps have no loader: else its batches are no thread's."""
    fill = Seen("data.py", 7, "_fill", "", "", 0)
    monkeypatch.setattr(StackSampler, "_maker", lambda sampler, frames: fill)
    looked = Looked(unexplained=True, without_loader=without_loader)
    wait_for(lambda: looked.samples() >= 2)
    looked.steps.moment = 8
    looked.end()
    found = {(one["event"], one["function"]) for one in told(looked.sampler, tmp_path)}
    made = {("batch_stack", "_fill")} if without_loader else set()
    assert found == {("stack", "augment"), *made}
