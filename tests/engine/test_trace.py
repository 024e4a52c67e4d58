"""What a profiler's trace says of a step: from events laid out by hand, and from a real one."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from perfkit.engine import trace
from perfkit.engine.trace import STEP, read, summarise, union_s
from perfkit.errors import DamagedFile

MAIN, AUTOGRAD, DEVICE = 1, 2, 7


def event(
    cat: str, name: str, ts: float, dur: float, tid: int = MAIN, **args: Any
) -> dict[str, Any]:
    spelled = {key.replace("_", " "): value for key, value in args.items()}
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "tid": tid, "args": spelled}


def steps(count: int) -> list[dict[str, Any]]:
    return [event("user_annotation", STEP, 1000.0 * n, 900.0) for n in range(count)]


def test_kernels_that_overlap_count_once() -> None:
    """Busy is the time with at least one kernel: 0–30, 50–80 and a second stream's 20–60 are 80 µs."""
    kernels = [(0, 30), (50, 30), (20, 40)]
    assert union_s([event("kernel", "k", t, d) for t, d in kernels]) == pytest.approx(80e-6)
    assert union_s([]) == 0


def test_of_a_device_kernels_are_billed_to_the_operator_that_launched_them() -> None:
    """The innermost one, by its external id; launches and busy time are per step."""
    found = summarise(
        [
            *steps(2),
            event("cpu_op", "aten::linear", 0, 50, External_id=1),
            event("cpu_op", "aten::addmm", 10, 30, External_id=2),
            event("cpu_op", "aten::relu", 60, 5, External_id=3),
            event("kernel", "gemm", 100, 300, DEVICE, External_id=2),
            event("kernel", "elementwise", 400, 100, DEVICE, External_id=3),
            event("kernel", "of nobody", 600, 4, DEVICE),
            event("gpu_memcpy", "Memcpy HtoD", 700, 90, DEVICE, External_id=3),
        ]
    )
    assert (found.steps, found.launches) == (2, 1.5)
    assert found.busy_s == pytest.approx(202e-6)
    assert [o.name for o in found.operators] == ["aten::addmm", "aten::relu", "of nobody"]
    assert found.operators[0].share == pytest.approx(300 / 404)
    assert found.operators[0].where is None


def test_without_a_device_an_operator_has_its_own_time() -> None:
    """What operators inside it take is theirs; five are told, the costliest first."""
    inner = [event("cpu_op", f"aten::small{n}", 100 + n, 1) for n in range(5)]
    found = summarise(
        [
            *steps(1),
            event("cpu_op", "aten::linear", 0, 50),
            event("cpu_op", "aten::addmm", 10, 30),
            event("cpu_op", "aten::addmm", 60, 15),
            *inner,
        ]
    )
    assert (found.busy_s, found.launches) == (None, None)
    assert [o.name for o in found.operators[:2]] == ["aten::addmm", "aten::linear"]
    first, second = (o.share for o in found.operators[:2])
    assert first / second == pytest.approx(45 / 20)
    assert len(found.operators) == 5


def test_an_operator_has_the_function_that_called_it() -> None:
    """One of the backward pass has that of its forward; torch's frames and perfkit's own do not count."""
    found = summarise(
        [
            *steps(1),
            event("python_function", "train.py(3): <module>", 0, 900),
            event("python_function", "net.py(7): forward", 5, 100),
            event("python_function", "torch/nn/modules/conv.py(500): forward", 6, 90),
            event("python_function", "perfkit/training/loop.py(60): train_on", 200, 600),
            event("cpu_op", "aten::conv2d", 10, 80, Sequence_number=4),
            event(
                "cpu_op",
                "autograd::engine::evaluate_function: ConvolutionBackward0",
                300,
                400,
                AUTOGRAD,
                Sequence_number=4,
            ),
            event("cpu_op", "aten::convolution_backward", 310, 350, AUTOGRAD, Sequence_number=4),
            event("cpu_op", "aten::add_", 720, 60),
        ]
    )
    places = {o.name: o.where for o in found.operators}
    assert places["aten::conv2d"] == "net.py:7 (forward)"
    assert places["aten::convolution_backward"] == "net.py:7 (forward)"
    assert places["aten::add_"] == "train.py:3 (<module>)"


def test_a_trace_that_says_nothing_is_damaged(tmp_path: Path) -> None:
    """Missing, torn, or without a step: an error that names the file."""
    path = tmp_path / "trace.json.gz"
    with pytest.raises(DamagedFile, match=r"trace\.json\.gz"):
        read(path)
    path.write_bytes(gzip.compress(b'{"traceEvents": [{"ph": "X"')[:-9])
    with pytest.raises(DamagedFile, match=r"trace\.json\.gz"):
        read(path)
    path.write_bytes(gzip.compress(b'{"traceEvents": []}'))
    with pytest.raises(DamagedFile, match="no step"):
        read(path)


def test_the_steps_are_called_what_the_profiler_calls_them() -> None:
    """Two sides of the process boundary, one name."""
    from perfkit.training.probe import burst

    assert burst.STEP == trace.STEP
