"""What `perfkit run` costs a script: its loop with the recorder in it and without, and its start.

As a program it is the script: a process that trains a small model, started with the recorder in it, which
takes the hooks out and puts them back between stretches.

    python benchmarks/_attached.py LENGTH_S SECONDS      a row, as JSON
    python benchmarks/_attached.py first BEGAN_S         seconds since then to its first step's end
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfkit.engine.attach import environment
from perfkit.stats import Interval, mean_interval, median

_CHUNK = 64
"""Steps whose own cost is told together: so many are written at once (`probe.outfiles.WRITE_EVERY`)."""
_CALLS = 3000
"""Of the hooks round nothing."""


def row(length_s: float, seconds: float) -> dict[str, Any]:
    """Run the loop of such steps bare and attached in one process; returns a row of `overhead.py`.

    It has `own_s` besides: what the recorder counts of itself, and what it does not count of its hooks. That
    is measured hot; `hot_s` is all of it in steps without work.
    """
    found: dict[str, Any] = json.loads(_script(str(length_s), str(seconds), attached=True))
    for name in ("ratio", "added_s"):
        found[name] = Interval(**found[name])
    return found


def start_up(pairs: int) -> Interval:
    """Return the seconds that the recorder adds until a script's first step is over."""

    def first(*, attached: bool) -> float:
        return float(_script("first", repr(time.time()), attached=attached))

    if pairs > 1:
        # what the first of them reads from the disk the others find in memory
        first(attached=False), first(attached=True)
    added = []
    for number in range(pairs):
        order = (False, True) if number % 2 else (True, False)
        took = {attached: first(attached=attached) for attached in order}
        added.append(took[True] - took[False])
    return mean_interval(added)


def _script(*arguments: str, attached: bool) -> str:
    with tempfile.TemporaryDirectory() as study:
        environ: Mapping[str, str] = os.environ
        if attached:
            environ = environment(Path(study), os.environ)
        command = [sys.executable, __file__, *arguments]
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


class _Hooks:
    """The hooks of this process: in, or out."""

    def __init__(self) -> None:
        import torch
        from torch.optim import optimizer
        from torch.utils.data import dataloader

        iterator: Any = dataloader._BaseDataLoaderIter
        self._places: list[tuple[Any, str, Any]] = [
            (owner, name, getattr(owner, name))
            for owner, name in (
                (dataloader.DataLoader, "__iter__"),
                (iterator, "__next__"),
                (torch.autograd, "backward"),
            )
        ]
        self._updates: list[tuple[Any, dict[int, Any]]] = [
            (hooks, dict(hooks))
            for hooks in (
                optimizer._global_optimizer_pre_hooks,
                optimizer._global_optimizer_post_hooks,
            )
        ]

    def put_in(self) -> None:
        for owner, name, hook in self._places:
            setattr(owner, name, hook)
        for hooks, ours in self._updates:
            hooks.update(ours)

    def take_out(self) -> None:
        for owner, name, hook in self._places:
            setattr(owner, name, hook.__wrapped__)
        for hooks, _ in self._updates:
            hooks.clear()


def _measured(length_s: float, seconds: float) -> dict[str, Any]:
    """In the script: bare and attached stretches in palindromes, of steps of a known length."""
    import torch
    from _common import Watch
    from _loops import against, paced, small_layers

    from perfkit.training.attach import hooks

    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    train, optimizer = _training()
    work, units = paced(small_layers(cpu), length_s, cpu)

    def loop(batches: Iterator[Any], steps: int, work: Callable[[], None] = work) -> None:
        for _ in range(steps):
            batch = next(batches)
            work()
            train(batch)

    in_place = _Hooks()
    in_place.take_out()
    bare = _batches()
    in_place.put_in()
    recorded = _batches()
    loop(recorded, 5)
    session = hooks.session()
    assert session is not None and session.steps is not None, "nothing is recorded here"
    recorder = session.steps.recorder

    counted_s: list[float] = []

    def without(steps: int) -> None:
        in_place.take_out()
        loop(bare, steps)
        in_place.put_in()

    def attached(steps: int) -> None:
        before_ns = recorder.own_ns
        loop(recorded, steps)
        counted_s.append((recorder.own_ns - before_ns) * 1e-9 / steps)

    steps = _CHUNK * max(1, round(0.1 / length_s / _CHUNK))
    found = against(
        without,
        attached,
        steps=steps,
        palindromes=max(3, round(seconds / (4 * steps * length_s))),
        device=cpu,
        watch=Watch(),
    )
    before_ns = recorder.own_ns
    loop(recorded, _CALLS, lambda: None)
    counted_hot_s = (recorder.own_ns - before_ns) * 1e-9 / _CALLS
    uncounted_s = _uncounted_s(recorder, optimizer, bare, recorded)
    assert not session.off, "the recording has ended"
    for name in ("ratio", "added_s"):
        found[name] = asdict(found[name])
    return {
        "tool": "perfkit run", "kind": "script", "length_s": length_s, "units": units, **found,
        "counted_s": median(counted_s), "own_s": median(counted_s) + uncounted_s,
        "hot_s": counted_hot_s + uncounted_s,
    }  # fmt: skip


def _uncounted_s(
    recorder: Any, optimizer: Any, bare: Iterator[Any], recorded: Iterator[Any]
) -> float:
    """Seconds a step that the recorder does not count: entering its hooks, and the batch's own record."""
    import torch
    from torch.optim import optimizer as optimizers

    from perfkit.training.attach import hooks

    back = hooks._backward_hook(lambda *args: None)
    (before,) = optimizers._global_optimizer_pre_hooks.values()
    (after,) = optimizers._global_optimizer_post_hooks.values()
    loss = torch.zeros(())

    def step() -> None:
        next(recorded)
        back(loss)
        before(optimizer, (), {})
        after(optimizer, (), {})

    def took_ns(call: Callable[[], Any]) -> int:
        counted_ns, begin_ns = recorder.own_ns, time.perf_counter_ns()
        call()
        return int(time.perf_counter_ns() - begin_ns - recorder.own_ns + counted_ns)

    # in turns, since the processor's pace changes; an iterator's own `next` where the hooks are in looks for
    # its pass and finds none
    with_ns, without_ns = zip(
        *[(took_ns(step), took_ns(lambda: next(bare))) for _ in range(_CALLS)], strict=True
    )
    return (median(with_ns) - median(without_ns)) * 1e-9


def _training() -> tuple[Callable[[Any], None], Any]:
    import torch

    model = torch.nn.Linear(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def train(batch: Any) -> None:
        loss = model(batch).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return train, optimizer


def _batches() -> Iterator[Any]:
    """Batches without end from a loader without workers, which leaves most to the script's own process."""
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    class Endless(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return itertools.repeat(torch.zeros(16, 8))

    return iter(DataLoader(Endless(), batch_size=None, num_workers=0))


def _first(began_s: float) -> float:
    train, _ = _training()
    train(next(_batches()))
    return time.time() - began_s


if __name__ == "__main__":
    if sys.argv[1] == "first":
        print(_first(float(sys.argv[2])))
    else:
        print(json.dumps(_measured(*map(float, sys.argv[1:]))))
