"""What the training thread does in the time that nothing else explains."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfkit.training.attach import stacks
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.stacks import LOOK_EVERY_NS, StackSampler, Untracked


def augment(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    over.wait()


def compute(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    while not over.is_set():
        time.sleep(0.001)


def simulate() -> None:
    """Holds the interpreter for some milliseconds, less than the usual switch interval."""
    until = time.perf_counter() + 0.0045
    while time.perf_counter() < until:
        pass


def wait_for_device() -> None:
    """Lets go of it."""
    time.sleep(0.0001)


ALTERNATING = """
import sys
import threading
import time
from types import SimpleNamespace

sys.path[:0] = [{folder!r}, {tests!r}]
from perfkit.training.attach.stacks import StackSampler
import test_stacks as own

steps = SimpleNamespace(
    unexplained=True, moment=7, without_loader=True, sees_forward=True, computing=False, gaps=[], forwards=[],
    is_behind=False, once_known=lambda do: do(),
)
usual_s = sys.getswitchinterval()
sampler = StackSampler(steps, threading.get_ident())
until = time.monotonic() + 60
while len(sampler._waiting) < 30 and time.monotonic() < until:
    own.simulate()
    own.wait_for_device()
sampler.stop()
seen = {{"simulate": 0.0, "wait_for_device": 0.0}}
for (_, one), seconds in sampler._sums.items():
    name = one.inner or one.function
    seen[name] = seen.get(name, 0.0) + seconds
print(seen["simulate"] > seen["wait_for_device"], sys.getswitchinterval() == usual_s)
"""


class Looked:
    """A sampler at a thread that is in `augment`, as long as the test goes on."""

    def __init__(
        self,
        unexplained: bool,
        without_loader: bool = False,
        waits: bool = True,
        computing: bool = False,
        behind: bool = False,
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
    sampler.tell(folder)
    sampler.tell(folder)
    return [event for event in folder.rank.events.read() if "function" in event]


def test_the_function_is_named_with_its_line(tmp_path: Path) -> None:
    """The line of the user's own code, not that of the library it waits in; each told once."""
    looked = Looked(unexplained=True)
    wait_for(lambda: looked.samples() >= 2)
    looked.steps.moment = 8
    looked.end()
    (event,) = told(looked.sampler, tmp_path)
    assert event["function"] == "augment"
    line = augment.__code__.co_firstlineno + 2
    assert event["where"].endswith(f"test_stacks.py:{line}")
    assert event["seconds"] > 0


def test_what_a_backward_followed_is_no_untracked_time(tmp_path: Path) -> None:
    """It was part of the step: more than a batch that is asked for has happened since."""
    looked = Looked(unexplained=True)
    wait_for(lambda: looked.samples() >= 1)
    looked.steps.unexplained = False
    looked.steps.moment = 9
    looked.end()
    assert told(looked.sampler, tmp_path) == []


def test_what_an_update_followed_is_in_no_phase(tmp_path: Path) -> None:
    """Gradients that are clipped and logged, between backward and update."""
    looked = Looked(unexplained=True)
    wait_for(lambda: looked.samples() >= 1)
    looked.steps.unexplained = False
    looked.steps.gaps.append(7)
    looked.steps.moment = 9
    looked.end()
    assert [event["function"] for event in told(looked.sampler, tmp_path)] == ["augment"]


@pytest.mark.parametrize("followed", [True, False])
def test_a_forward_is_told_apart_once_a_backward_has_followed(
    tmp_path: Path, followed: bool
) -> None:
    """A batch that was looked at, and not trained with, had none."""
    looked = Looked(unexplained=False, computing=True)
    wait_for(lambda: looked.samples() >= 1)
    looked.steps.computing = False
    if followed:
        looked.steps.forwards.append(7)
    looked.steps.moment = 9
    looked.end()
    found = [(event["event"], event["function"]) for event in told(looked.sampler, tmp_path)]
    assert found == ([("forward_stack", "augment")] if followed else [])


@pytest.mark.parametrize("in_library", [True, False])
def test_in_a_step_without_a_loader_only_waiting_for_a_thread_is_looked_at(
    tmp_path: Path, in_library: bool
) -> None:
    """`queue.get` ends in the library's own code; a forward does not."""
    looked = Looked(unexplained=True, without_loader=True, waits=in_library)
    if in_library:
        wait_for(lambda: looked.samples() >= 1)
        looked.steps.moment = 8
    else:
        time.sleep(0.2)
        assert looked.samples() == 0
    looked.end()
    found = told(looked.sampler, tmp_path)
    assert [event["function"] for event in found] == (["augment"] if in_library else [])


def test_what_holds_the_interpreter_for_a_moment_is_seen() -> None:
    """It takes most of the time; and the switch interval is afterwards what it was."""
    folder, tests = (str(Path(__file__).parents[n]) for n in (0, 2))
    script = ALTERNATING.format(folder=folder, tests=tests)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout == "True True\n", ended.stderr


@pytest.mark.parametrize("set_by_script", [0.02, None])
def test_the_switch_interval_is_shorter_only_where_no_other_thread_competes(
    monkeypatch: pytest.MonkeyPatch, set_by_script: float | None
) -> None:
    """Here the thread that is looked at and pytest's own do; and a script's own setting is let be."""
    usual_s = sys.getswitchinterval()
    looked = Looked(unexplained=True)
    try:
        wait_for(lambda: looked.samples() >= 2)
        assert sys.getswitchinterval() == usual_s
        monkeypatch.setattr(looked.sampler, "_alone", lambda: True)
        if set_by_script is not None:
            sys.setswitchinterval(set_by_script)
            seen = looked.samples()
            wait_for(lambda: looked.samples() >= seen + 2)
            assert sys.getswitchinterval() == set_by_script
        else:
            wait_for(lambda: sys.getswitchinterval() == pytest.approx(stacks.SWITCH_S))
        looked.end()
        assert sys.getswitchinterval() == (set_by_script or usual_s)
    finally:
        sys.setswitchinterval(usual_s)


def test_explained_time_is_not_looked_at(tmp_path: Path) -> None:
    """A batch is waited for, or a backward runs."""
    looked = Looked(unexplained=False)
    time.sleep(0.2)
    assert looked.samples() == 0
    looked.end()
    assert told(looked.sampler, tmp_path) == []


def test_where_calls_are_told_of_later_samples_wait(tmp_path: Path) -> None:
    """What seemed explained when it was seen turns out not to be, and the other way round."""
    looked = Looked(unexplained=False, behind=True)
    wait_for(lambda: len(looked.known) >= 2)
    assert looked.samples() == 0
    looked.steps.unexplained = True
    looked.known[0]()
    looked.steps.unexplained = False
    looked.known[1]()
    assert looked.samples() == 1
    looked.steps.moment = 8
    looked.end()
    (event,) = told(looked.sampler, tmp_path)
    assert event["function"] == "augment"


@pytest.mark.parametrize(("untracked_s", "looks"), [(0.49, False), (0.51, True)])
def test_stacks_are_looked_at_where_a_tenth_is_untracked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untracked_s: float, looks: bool
) -> None:
    """Of five seconds; what was untracked before them does not count."""
    begun: list[int] = []
    monkeypatch.setattr(
        stacks, "StackSampler", lambda steps, thread, loop: begun.append(thread) or object()
    )
    steps: Any = SimpleNamespace(
        untracked_ns=int(0.4e9), in_training=True, forward_ns=0, backward_ns=0
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.untracked_ns += int(untracked_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS - 1)
    assert begun == []
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert begun == ([42] if looks else [])


@pytest.mark.parametrize(
    ("forward_s", "backward_s", "looks"),
    [(2.0, 1.9, True), (2.0, 2.1, False), (0.49, 0.1, False), (0.51, 0.1, True)],
)
def test_stacks_are_looked_at_where_forwards_take_longer_than_backwards(
    monkeypatch: pytest.MonkeyPatch, forward_s: float, backward_s: float, looks: bool
) -> None:
    """And a tenth of five seconds; what came before these does not count."""
    begun: list[int] = []
    monkeypatch.setattr(
        stacks, "StackSampler", lambda steps, thread, loop: begun.append(thread) or object()
    )
    steps: Any = SimpleNamespace(untracked_ns=0, in_training=True)
    steps.forward_ns, steps.backward_ns = int(1e9), int(3e9)
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.forward_ns += int(forward_s * 1e9)
    steps.backward_ns += int(backward_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert begun == ([42] if looks else [])


def test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An evaluation that asks at that moment is not the loop."""
    begun: list[Any] = []
    monkeypatch.setattr(stacks, "StackSampler", lambda *args: begun.append(args) or object())
    steps: Any = SimpleNamespace(
        untracked_ns=int(9e9), in_training=False, forward_ns=0, backward_ns=0
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    assert begun == []
    steps.in_training, steps.untracked_ns = True, int(18e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    ((_, thread, loop),) = begun
    own = test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks
    assert thread == 42 and loop[-1] is own.__code__
