"""A few steps under torch.profiler, and the calls in a step that wait for the device.

The profiler lengthens what the host does (1.6 times on steps of 5 ms) and leaves a kernel's own duration as
it is: of the device, kernel time per step is told, and nothing of the steps' length. It is started once the
timed blocks are over.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from perfkit.training.probe.device import synchronize

STEP = "perfkit#step"
"""What each step is called in the trace."""
_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parents[2])
_OUR_NETWORKS = str(Path(__file__).parents[1] / "workloads")


def record(
    step: Callable[[], object], steps: int, device: torch.device, path: Path, *, stacks: bool
) -> None:
    """Run steps under the profiler and write the trace (Chrome's format, which Perfetto reads).

    Args:
        step: trains on one batch.
        path: ends in `.json.gz`.
        stacks: record Python's frames too; it costs more, and seconds to write.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    # what is set up by the first use (CUPTI takes a second) is not of the steps
    with profile(activities=activities, with_stack=stacks):
        step()
        synchronize(device)
    with profile(activities=activities, with_stack=stacks) as profiler:
        for _ in range(steps):
            with record_function(STEP):
                step()
        synchronize(device)
    profiler.export_chrome_trace(str(path))


def synchronising(step: Callable[[], object], steps: int) -> dict[str, float]:
    """Return the calls per step that waited for a CUDA device, by file:line of the code that trains.

    A call inside torch's own code that ours made, such as a GradScaler's look at what it found, is named by
    torch's file and function. Source: `torch.cuda.set_sync_debug_mode`.
    """
    places: Counter[str] = Counter()

    def note(*_: object) -> None:
        places[place_of(sys._getframe(1))] += 1

    with _sync_warnings(note):
        for _ in range(steps):
            step()
    return {place: count / steps for place, count in places.most_common()}


@contextmanager
def _sync_warnings(note: Callable[..., None]) -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", message=".*synchronizing CUDA operation.*")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)


def place_of(frame: FrameType | None) -> str:
    """Return where the innermost code that is neither torch's nor ours was.

    Where there is none, what of torch our loop called: a GradScaler's step, an optimizer's.
    """
    in_torch = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_TORCH):
            where = name[len(str(Path(_TORCH).parent)) + 1 :]
            in_torch = f"{where}:{frame.f_lineno} ({frame.f_code.co_name})"
        elif _trains(name):
            return f"{at_home(name)}:{frame.f_lineno}"
        elif in_torch and name.startswith(_OURS):
            return in_torch
        frame = frame.f_back
    return in_torch or "unknown"


def at_home(name: str) -> str:
    """Return a file's path as seen from the working directory, where it lies below that."""
    here = os.getcwd() + os.sep
    return name[len(here) :] if name.startswith(here) else name


def _trains(name: str) -> bool:
    library = name.startswith((_OURS, "<")) or name == warnings.__file__
    return name.startswith(_OUR_NETWORKS) or not library
