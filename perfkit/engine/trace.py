"""From a profiler's trace of a few steps to what it says of one: kernels, launches, costly operators. Pure.

The trace is Chrome's format as torch.profiler writes it: events with a category, a start `ts` and a
duration `dur` in microseconds. Operators nest on their thread; a kernel names by its external id the
innermost operator that launched it; with stacks there are Python's frames as events of their own.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfkit.document import Operator
from perfkit.errors import DamagedFile

STEP = "perfkit#step"
"""What `perfkit.training.probe.burst` calls a step."""
MOST_OPERATORS = 5
_BACKWARD = "autograd::engine::evaluate_function: "
Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A few steps as the profiler saw them; per-step values are means."""

    steps: int
    busy_s: float | None
    """Time in which at least one kernel ran, seconds per step; None where there is no device."""
    launches: float | None
    """Kernels per step."""
    operators: tuple[Operator, ...]


def read(path: Path) -> Trace:
    """Read a trace.

    Raises:
        DamagedFile: it is missing, not whole, or has no steps.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
            data = json.load(file)
        events: list[Event] = [e for e in data["traceEvents"] if e.get("ph") == "X"]
        return summarise(events)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"cannot read the trace {path}: {error}") from error


def summarise(events: Iterable[Event]) -> Trace:
    """Return what the events say of one step.

    Raises:
        ValueError: there is no step among them.
    """
    by_kind: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_kind[event.get("cat", "")].append(event)
    steps = sum(e["name"] == STEP for e in by_kind["user_annotation"])
    if not steps:
        raise ValueError("there is no step in it")
    kernels = by_kind["kernel"]
    operators = by_kind["cpu_op"]
    own_us = _own_on_device(kernels, operators) if kernels else _own_on_host(operators)
    total_us = sum(us for us, _ in own_us.values()) or 1.0
    places = _Places(by_kind["python_function"], operators)
    costly = sorted(own_us.items(), key=lambda item: -item[1][0])[:MOST_OPERATORS]
    return Trace(
        steps=steps,
        busy_s=union_s(kernels) / steps if kernels else None,
        launches=len(kernels) / steps if kernels else None,
        operators=tuple(
            Operator(name=name, share=us / total_us, where=places.of(longest))
            for name, (us, longest) in costly
        ),
    )


def union_s(events: Iterable[Event]) -> float:
    """Return the seconds in which at least one of the events was going on."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted((e["ts"], e["ts"] + e["dur"]) for e in events):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total * 1e-6


Own = dict[str, tuple[float, Event | None]]
"""By operator: microseconds of its own, and the event that has most of them."""


def _own_on_device(kernels: Iterable[Event], operators: Iterable[Event]) -> Own:
    by_id = {e["args"].get("External id"): e for e in operators if "args" in e}
    spent: dict[str, Counter[int]] = defaultdict(Counter)
    for kernel in kernels:
        number = kernel.get("args", {}).get("External id")
        event = by_id.get(number)
        spent[kernel["name"] if event is None else event["name"]][number] += kernel["dur"]
    return {
        name: (float(sum(each.values())), by_id.get(each.most_common(1)[0][0]))
        for name, each in spent.items()
    }


def _own_on_host(operators: Iterable[Event]) -> Own:
    """Time of operators outside the operators inside them."""
    own: dict[str, float] = defaultdict(float)
    longest: dict[str, tuple[float, Event]] = {}
    for each in _threads(operators).values():
        inside = [0.0] * len(each)
        stack: list[int] = []
        for number, event in enumerate(each):
            while stack and _end(each[stack[-1]]) <= event["ts"]:
                stack.pop()
            if stack:
                inside[stack[-1]] += event["dur"]
            stack.append(number)
        for event, within in zip(each, inside, strict=True):
            us = max(0.0, event["dur"] - within)
            own[event["name"]] += us
            if us >= longest.get(event["name"], (-1.0, event))[0]:
                longest[event["name"]] = (us, event)
    return {name: (us, longest[name][1]) for name, us in own.items()}


class _Places:
    """Which function called an operator; one of a backward pass, which function called its forward."""

    def __init__(self, frames: list[Event], operators: list[Event]) -> None:
        self._frames = {
            thread: [e for e in each if _is_of_user(e["name"])]
            for thread, each in _threads(frames).items()
        }
        self._operators = _threads(operators) if frames else {}
        # a step's forward comes before its backward, and the outermost operator first
        self._forward: dict[Any, Event] = {}
        for event in sorted(operators if frames else (), key=lambda e: (e["ts"], -e["dur"])):
            number = event.get("args", {}).get("Sequence number")
            if number is not None:
                self._forward.setdefault(number, event)

    def of(self, event: Event | None) -> str | None:
        """Return it as `net.py:7 (forward)`; None where no stack was recorded."""
        if event is None or not self._frames:
            return None
        for outer in _enclosing(self._operators.get(event.get("tid"), []), event):
            if outer["name"].startswith(_BACKWARD):
                event = self._forward.get(outer["args"].get("Sequence number"), event)
                break
        inner = _enclosing(self._frames.get(event.get("tid"), []), event)
        return _place(inner[-1]["name"]) if inner else None


def _enclosing(each: list[Event], event: Event) -> list[Event]:
    """Those events of a thread that an event lies in, outermost first; the event itself may be one."""
    last = bisect_right(each, event["ts"], key=lambda e: e["ts"])
    return [e for e in each[:last] if _end(e) >= _end(event)]


def _threads(events: Iterable[Event]) -> dict[Any, list[Event]]:
    """Events by thread, in the order of their starts, outer ones first."""
    found: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        found[event.get("tid")].append(event)
    for each in found.values():
        each.sort(key=lambda e: (e["ts"], -e["dur"]))
    return found


def _end(event: Event) -> float:
    return float(event["ts"] + event["dur"])


def _is_of_user(name: str) -> bool:
    file = name.partition("(")[0]
    ours = "perfkit/" in file and "perfkit/training/workloads/" not in file
    library = file.startswith("torch/") or "site-packages/" in file or "/torch/" in file
    return file.endswith(".py") and not ours and not library


def _place(name: str) -> str:
    """`net.py(7): forward` as `net.py:7 (forward)`."""
    file, _, rest = name.partition("(")
    line, _, function = rest.partition("): ")
    return f"{file}:{line} ({function})"
