"""Functions that samplers of stacks have seen, and how often work is done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mode
from typing import Any

from perfkit.diagnosis.evidence import OwnWork
from perfkit.records import LIBRARY

MOSTLY = 0.5
"""A function that was seen in this part of the time names it."""
LEAST_SHARE = 0.10
"""What is in no phase of a step is looked at from this part of it on: from there on the sampler looks. A
function is named from this part of what was seen on."""
MOST_RARE = 0.25
"""In more of the steps than this it is what a step takes."""
LEAST_RARE_S = 0.15
"""Three samples of one step: work of every step is seen once in some of them."""
REGULAR = 0.8
"""Work is done every so many steps if this part of the distances between two times is that."""
NO_BATCH = ("join",)
"""Who waits in these waits for the end of a thread or process, and for no batch of it."""
_LINE_ALONE = "<module>"
"""What a script's own lines are called that are in no function."""


@dataclass(kw_only=True)
class Seen:
    """A function that the training loop calls, as samples of the stack showed it."""

    function: str
    seconds: float = 0.0
    in_steps: int = 0
    """Steps that it was seen in."""
    of_steps: int = 0
    """Steps that were looked at."""
    lines: dict[str, float] = field(default_factory=dict)
    """Seconds by the line, file:line, that calls it."""
    inside: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """By function and file that it led to, the seconds by line."""
    network_s: float = 0.0
    """Of these, in which its innermost function had called a network or a layer."""
    alone: dict[str, float] = field(default_factory=dict)
    """What `lines` is of the time in which it led to none."""

    @property
    def name(self) -> str:
        """Return `augment (train.py:88)`; of a line in no function the line alone."""
        where = max(self.lines, key=lambda line: self.lines[line])
        return where if self.function == _LINE_ALONE else f"{self.function} ({where})"

    @property
    def is_rare(self) -> bool:
        """Return whether it is done in few of the steps, and takes long in each of these."""
        few = 0 < self.in_steps <= MOST_RARE * self.of_steps
        return few and self.seconds >= LEAST_RARE_S * self.in_steps

    @property
    def inner(self) -> str | None:
        """Return the function, with its line, that more than half of this one's time is in."""
        name, seconds = max(self._inside_s.items(), key=lambda item: item[1], default=("", 0.0))
        return name if seconds > MOSTLY * self.seconds else None

    @property
    def inner_s(self) -> float:
        """Return the seconds of the function inside this one that was seen longest."""
        return max(self._inside_s.values(), default=0.0)

    @property
    def parts_s(self) -> dict[str, float]:
        """Return the seconds by function inside this one, and by line of its own; empty for a single line."""
        found = {f"in {name}": seconds for name, seconds in self._inside_s.items()}
        if found or len(self.alone) > 1:
            found |= {f"at {line}": seconds for line, seconds in self.alone.items()}
        return found

    @property
    def _inside_s(self) -> dict[str, float]:
        """Seconds by function, with its line."""
        return {
            f"{function}, {max(lines, key=lambda line: lines[line])}": sum(lines.values())
            for (function, _), lines in self.inside.items()
        }


def functions_in(events: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Return the functions that events of samples tell of, the longest first.

    Args:
        events: a function and its line is told again whenever it has grown; `worker` is whose count it is.
    """
    told: dict[tuple[Any, ...], tuple[float, int, int]] = {}
    for one in events:
        function, where, seconds = one.get("function"), one.get("where"), one.get("seconds")
        if function and where and isinstance(seconds, (int, float)):
            inner = str(one.get("inner") or ""), str(one.get("inner_where") or "")
            # told again whenever it has grown
            in_steps, of_steps = one.get("in_steps", 0), one.get("of_steps", 0)
            called = one.get("waits_in"), bool(one.get("in_network"))
            key = one.get("worker"), *called, str(function), str(where), *inner
            told[key] = float(seconds), in_steps, of_steps
    found: dict[tuple[str, str], Seen] = {}
    for key, figures in told.items():
        *_, in_network, function, where, inner_function, inner_where = key
        seconds, in_steps, of_steps = figures
        seen = found.setdefault((function, _file(where)), Seen(function=function))
        seen.seconds += seconds
        seen.network_s += seconds if in_network else 0.0
        seen.in_steps = max(seen.in_steps, in_steps)
        seen.of_steps = max(seen.of_steps, of_steps)
        _add(seen.lines, where, seconds)
        if inner_function:
            inner_of = inner_function, _file(inner_where)
            _add(seen.inside.setdefault(inner_of, {}), inner_where, seconds)
        else:
            _add(seen.alone, where, seconds)
    return sorted(found.values(), key=lambda seen: -seen.seconds)


def is_wait(sample: Mapping[str, Any]) -> bool:
    """Return whether a sample of the stack saw a wait for what another thread or process gives."""
    return sample.get("waits_in", "") not in ("", *NO_BATCH)


def _file(where: str) -> str:
    return where.rpartition(":")[0]


def _add(to: dict[str, float], name: str, seconds: float) -> None:
    to[name] = to.get(name, 0.0) + seconds


def most_seen(seen: Sequence[Seen]) -> Seen | None:
    """Return the function that most of the time is in; None where there is none."""
    if not seen or seen[0].seconds < MOSTLY * sum(one.seconds for one in seen):
        return None
    return seen[0]


def shares(seen: Sequence[Seen]) -> dict[str, OwnWork]:
    """Return the functions that a tenth of the time or more was seen in."""
    whole_s = sum(one.seconds for one in seen)
    return {one.name: _share(one, whole_s) for one in seen if one.seconds >= LEAST_SHARE * whole_s}


def _share(seen: Seen, whole_s: float) -> OwnWork:
    share, inner = seen.seconds / whole_s, seen.inner
    in_network = seen.network_s > MOSTLY * seen.seconds
    if inner is not None:
        inner_share = seen.inner_s / whole_s
        return OwnWork(share=share, inner=inner, inner_share=inner_share, in_network=in_network)
    by_share = sorted(seen.parts_s.items(), key=lambda item: -item[1])
    parts = {name: part_s / whole_s for name, part_s in by_share}
    told = {name: part for name, part in parts.items() if part >= LEAST_SHARE}
    # the line alone is where it is named already
    alone = len(told) == 1 and next(iter(told)).startswith("at ")
    return OwnWork(share=share, parts={} if alone else told, in_network=in_network)


def known(seen: Sequence[Seen]) -> dict[str, OwnWork]:
    """Return the functions that have a name among those that were seen, with their shares of all."""
    found = shares(seen)
    return {name: work for name, work in found.items() if not name.startswith(LIBRARY)}


def period(places: Sequence[int]) -> int | None:
    """Return the steps from one to the next, where it is nearly always the same; None where it is not.

    Args:
        places: numbers of the steps in which something was done, in order.
    """
    distances = [after - before for before, after in pairwise(places)]
    if len(distances) < 2:
        return None
    usual = mode(distances)
    return usual if distances.count(usual) >= REGULAR * len(distances) else None
