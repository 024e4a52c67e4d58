"""What the training thread does in the time that nothing else explains."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from looked import Looked, augment, told, wait_for

from perfkit.records import LIBRARY
from perfkit.training.attach import stacks


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
from perfkit.training.attach.stacks import LIBRARY, StackSampler
import test_stacks as own

steps = SimpleNamespace(
    unexplained=True, moment=7, without_loader=True, sees_forward=True, computing=False, gaps=[], forwards=[],
    is_behind=False, once_known=lambda do: do(), making=None, updating=False, updates=[],
)
usual_s = sys.getswitchinterval()
sampler = StackSampler(steps, threading.get_ident())
until = time.monotonic() + 60
passed = [time.perf_counter()]
while len(sampler._waiting) < 30 and time.monotonic() < until:
    for does in (own.simulate, own.wait_for_device):
        does()
        passed.append(time.perf_counter())
sampler.stop()
# waiting for a core counts where it happened, in both
simulated_s = sum(end - begin for begin, end in zip(passed[::2], passed[1::2]))
share = simulated_s / (passed[-1] - passed[0])
seen = {{"simulate": 0.0, "wait_for_device": 0.0}}
for (_, one), seconds in sampler._sums.items():
    name = one.inner or one.function
    seen[name] = seen.get(name, 0.0) + seconds
print(seen["simulate"] > share / 2 * sum(seen.values()), sys.getswitchinterval() == usual_s)
"""


def test_the_function_is_named_with_its_line(tmp_path: Path) -> None:
    """The line of the user's own code, not that of the library it waits in; each told once."""
    looked = Looked(unexplained=True)
    wait_for(lambda: looked.samples() >= 2)
    looked.steps.moment = 8
    looked.end()
    (event,) = told(looked.sampler, tmp_path)
    assert event["function"] == "augment"
    line = augment.__code__.co_firstlineno + 2
    assert event["where"].endswith(f"looked.py:{line}")
    assert event["seconds"] > 0


def test_a_stack_that_was_left_while_it_was_walked_is_no_sample() -> None:
    """What called a frame is not known once it has returned: what is below the loop seems to be the loop."""
    looked = Looked(unexplained=True)
    wait_for(lambda: looked.samples() >= 1)
    own = looked.sampler.loop
    looked.sampler.loop = (simulate.__code__, *own)
    time.sleep(2 * stacks.EVERY_S)
    before = looked.samples()
    time.sleep(4 * stacks.EVERY_S)
    assert looked.samples() == before
    looked.end()


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


@pytest.mark.parametrize(
    ("doing", "known", "name", "function"),
    [
        ("computing", "forwards", "forward_stack", "augment"),
        ("updating", "updates", "update_stack", "<library>"),
    ],
)
@pytest.mark.parametrize("followed", [True, False])
def test_a_forward_and_an_update_are_told_apart_once_their_end_is_known(
    tmp_path: Path, doing: str, known: str, name: str, function: str, followed: bool
) -> None:
    """A batch that was only looked at had no forward; before its backward a closure makes no update.

    A function that calls `optimizer.step` is no work inside of it.
    """
    looked = Looked(unexplained=False, **{doing: True})  # type: ignore[arg-type]
    wait_for(lambda: looked.samples() >= 1)
    setattr(looked.steps, doing, False)
    if followed:
        getattr(looked.steps, known).append(7)
    looked.steps.moment = 9
    looked.end()
    found = [(event["event"], event["function"]) for event in told(looked.sampler, tmp_path)]
    assert found == ([(name, function)] if followed else [])


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
    found = [one for one in told(looked.sampler, tmp_path) if one["event"] == "stack"]
    assert [(one["function"], one["waits_in"]) for one in found] == (
        [("augment", "wait")] if in_library else []
    )


def test_what_holds_the_interpreter_for_a_moment_is_seen() -> None:
    """At least half as often as it goes on; and the switch interval is afterwards what it was."""
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


@pytest.mark.parametrize(
    ("making", "name"), [("first", "first_batch_stack"), ("later", "batch_stack")]
)
def test_batches_that_the_loop_makes_itself_are_told_apart(
    tmp_path: Path, making: str, name: str
) -> None:
    """Whatever follows; a backward explains nothing of them."""
    looked = Looked(unexplained=False, making=making)
    wait_for(lambda: looked.samples() >= 2)
    looked.steps.making = None
    looked.steps.moment = 20
    looked.end()
    (event,) = told(looked.sampler, tmp_path)
    assert (event["event"], event["function"]) == (name, "augment")


def test_what_libraries_do_for_a_batch_has_no_name_of_the_user_s(tmp_path: Path) -> None:
    """The loop's own line is no function that makes it."""
    looked = Looked(unexplained=False, making="later")
    looked.sampler.loop = (augment.__code__,)
    wait_for(lambda: looked.samples() >= 2)
    looked.end()
    assert LIBRARY in {event["function"] for event in told(looked.sampler, tmp_path)}


@pytest.mark.parametrize("asks_there", [True, False])
def test_a_forward_in_a_library_s_loop_has_no_name_of_the_user_s(
    tmp_path: Path, asks_there: bool
) -> None:
    """`trainer.train()` is the line that asks for batches and computes; a loop of one's own has another."""
    looked = Looked(unexplained=False, computing=True)
    looked.sampler.loop = (augment.__code__,)
    looked.sampler.asks_at = augment.__code__.co_firstlineno + 2 if asks_there else 1
    wait_for(lambda: looked.samples() >= 3)
    looked.steps.computing = False
    looked.steps.forwards = [7]
    looked.end()
    functions = [event["function"] for event in told(looked.sampler, tmp_path)]
    assert functions[-1] == (LIBRARY if asks_there else "augment")


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
