"""What is timed of ranks that wait for each other: blocking calls, and what reducers tell of themselves."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from perfkit.records import BACKWARD, COLLECTIVE, FORWARD, SPANS, STEPS
from perfkit.training.attach import collectives
from perfkit.training.attach.collectives import ReducerTimes, _blocks, _call_hook
from perfkit.training.attach.recorder import LateRecorder


class Model:
    """A DistributedDataParallel as far as it is read."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"iteration": 0}

    def __call__(self) -> Model:
        return self

    def _get_ddp_logging_data(self) -> dict[str, Any]:
        return self.told

    def timed(self, iteration: int) -> None:
        times = {"backward_comm_time": 9_000_000, "backward_compute_comm_overlap_time": 2_000_000}
        self.told = {"iteration": iteration, **times}


class Folder:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, float]] = []
        self.facts: list[str] = []

    def event(self, event: str, **told: Any) -> None:
        if event == "fact":
            self.facts.append(told["code"])
            return
        assert event == "reducer"
        self.events.append((told["model"], told["iteration"], told["exposed_s"]))


@pytest.fixture(autouse=True)
def nothing_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectives, "_launching", set())


@pytest.fixture
def recorder(tmp_path: Path) -> LateRecorder:
    return LateRecorder(tmp_path / "steps.bin")


def test_calls_with_nothing_between_them_are_one_span(
    recorder: LateRecorder, tmp_path: Path
) -> None:
    """A call for each gradient leaves one record, and is in no other phase."""
    recorder.before_next()
    recorder.got_batch(1, FORWARD)
    recorder.turn(FORWARD, BACKWARD)
    recorder.leave(BACKWARD)
    for _ in range(50):
        recorder.before_collective()
        recorder.after_collective()
    recorder.enter(BACKWARD)
    recorder.before_collective()
    recorder.after_collective()
    recorder.leave(BACKWARD)
    recorder.end_step()
    recorder.close()
    (step,) = STEPS.read(tmp_path / "steps.bin")
    spans = list(SPANS.read(tmp_path / "spans.bin"))
    assert [(span.phase, span.after_step) for span in spans] == [(COLLECTIVE, 0)] * 2
    first, inside = spans
    assert step.backwards == 2
    assert first.own_s == first.span_s > inside.span_s >= 0
    phases_s = step.data_wait_s + step.forward_s + step.backward_s
    assert phases_s + sum(span.own_s for span in spans) <= step.step_s


def test_a_call_outside_of_a_process_group_does_what_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its error is its own, and nothing is recorded."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
    session: Any = SimpleNamespace(off=False, steps=None, thread=threading.get_ident())
    hooked = _call_hook(torch.distributed.all_reduce, lambda: session)
    with pytest.raises(ValueError, match="process group"):
        hooked(torch.ones(1))
    assert hooked.__name__ == "all_reduce"


@pytest.mark.parametrize(
    ("backend", "kwargs", "blocks"),
    [
        ("gloo", {}, True),
        ("gloo", {"async_op": False}, True),
        ("gloo", {"async_op": True}, False),
        ("nccl", {}, False),
    ],
)
def test_only_calls_that_return_with_their_result_are_timed(
    monkeypatch: pytest.MonkeyPatch, backend: str, kwargs: dict[str, Any], blocks: bool
) -> None:
    """Under NCCL a call launches; an asynchronous one returns at once."""
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: backend)
    assert _blocks((torch.ones(2),), kwargs) is blocks


def test_an_asynchronous_call_may_say_so_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors beside it are not compared."""
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: "gloo")
    assert not _blocks((torch.ones(2), None, None, True), {})


def test_each_iteration_that_a_reducer_timed_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it becomes known, with the part of it that was not overlapped; none before there is one."""
    model, folder, reducers = Model(), Folder(), ReducerTimes()
    monkeypatch.setattr(collectives, "_models", [model])
    for steps in range(1, 131):
        if steps > 1 and (steps <= 11 or steps % 100 == 1):
            model.timed(steps - 1)
        reducers.look(folder, steps)  # type: ignore[arg-type]
    assert folder.events == [(0, number, pytest.approx(0.007)) for number in (*range(1, 11), 100)]


@pytest.mark.parametrize(("looks", "unused", "told"), [(1, 0, True), (1, 80, False), (0, 0, False)])
def test_a_search_for_unused_parameters_that_finds_none_is_told_once(
    monkeypatch: pytest.MonkeyPatch, looks: int, unused: int, told: bool
) -> None:
    """After ten iterations; a model that has such parameters needs it."""
    model, folder, reducers = Model(), Folder(), ReducerTimes()
    monkeypatch.setattr(collectives, "_models", [model])
    for steps in range(1, 14):
        model.timed(steps)
        model.told |= {"find_unused_parameters": looks, "unused_parameter_size": unused}
        if steps < 10:
            assert folder.facts == []
        reducers.look(folder, steps)  # type: ignore[arg-type]
    assert folder.facts == (["no_unused_parameters"] if told else [])


def test_a_model_that_is_gone_or_tells_nothing_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No times on this device, or another torch's words for them."""
    folder, silent = Folder(), Model()
    monkeypatch.setattr(collectives, "_models", [lambda: None, silent])
    ReducerTimes().look(folder, 1)  # type: ignore[arg-type]
    silent.told = {"iteration": 3, "backward_comm_time": 0, "backward_compute_comm_overlap_time": 0}
    ReducerTimes().look(folder, 2)  # type: ignore[arg-type]
    assert folder.events == []


def test_a_backend_whose_calls_only_launch_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is asynchronous by its own wish tells nothing of the backend."""
    events: list[tuple[str, str]] = []
    folder: Any = SimpleNamespace(event=lambda name, backend: events.append((name, backend)))
    backends = iter(["gloo", "nccl", "nccl"])
    monkeypatch.setattr(torch.distributed, "get_backend", lambda group: next(backends))
    reducers = ReducerTimes()
    for kwargs in ({}, {"async_op": True}):
        _blocks((), kwargs)
        reducers.look(folder, 1)
    assert events == []
    for _ in range(2):
        _blocks((), {})
        reducers.look(folder, 2)
    assert events == [("launched_collectives", "nccl")]


def test_what_a_model_sends_around_before_its_forward_is_waited_for_as_in_a_call(
    recorder: LateRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DistributedDataParallel's buffers, in its own group; the time is not forward's."""
    groups = []
    monkeypatch.setattr(
        torch.distributed, "get_backend", lambda group: groups.append(group) or "gloo"
    )
    steps = SimpleNamespace(recorder=recorder, unexplained=False, computing=True)
    session: Any = SimpleNamespace(off=False, steps=steps, thread=threading.get_ident())
    model = SimpleNamespace(process_group="its own")

    def sync_buffers(self: Any) -> None:
        assert not steps.computing
        time.sleep(0.02)

    recorder.before_next()
    recorder.got_batch(1, FORWARD)
    _call_hook(sync_buffers, lambda: session)(model)
    recorder.turn(FORWARD, BACKWARD)
    recorder.leave(BACKWARD)
    recorder.end_step()
    recorder.close()
    (step,), (span,) = STEPS.read(tmp_path / "steps.bin"), SPANS.read(tmp_path / "spans.bin")
    assert groups == ["its own"] and steps.computing
    assert span.phase == COLLECTIVE and span.own_s >= 0.02
    assert step.forward_s <= step.step_s - span.own_s


def test_the_method_that_is_hooked_is_there() -> None:
    """A torch that calls it something else would have its wait told as forward."""
    assert callable(getattr(DistributedDataParallel, "_sync_buffers", None))
