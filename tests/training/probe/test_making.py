"""What a loader worker is seen in while it makes batches."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from looked import special
from torch.utils.data import DataLoader, Dataset

from perfkit.engine.production import read_stacks
from perfkit.jsonlines import JsonLines
from perfkit.records import LIBRARY
from perfkit.training.probe import making, worker
from perfkit.training.probe.frames import users_codes
from perfkit.training.probe.ledger import WorkerLedger
from perfkit.training.probe.making import MakingStacks

HERE = Path(__file__).name


def compute() -> None:
    """Holds the interpreter for less than the usual switch interval."""
    until = time.perf_counter() + 0.003
    while time.perf_counter() < until:
        pass


def wait_for_disk() -> None:
    """Lets go of it."""
    time.sleep(0.0002)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0-77.jsonl"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[WorkerLedger]:
    """Of a worker that is making a batch all the time."""
    usual_s = sys.getswitchinterval()
    found = WorkerLedger(tmp_path, 0)
    found.makes = True
    yield found
    assert sys.getswitchinterval() == usual_s


def seconds(path: Path) -> Counter[str]:
    """Seconds by the innermost function that was seen."""
    found: Counter[str] = Counter()
    for one in read_stacks(path.parent):
        found[one.get("inner") or one["function"]] += one["seconds"]
    return found


def test_what_holds_the_interpreter_shortly_is_seen_as_long_as_it_takes(
    path: Path, ledger: WorkerLedger
) -> None:
    """Not only what lets go of it: the share that is seen is the share of the time."""
    stacks = MakingStacks(path, ledger)
    stacks.start()
    spent = Counter({"compute": 0.0, "wait_for_disk": 0.0})
    until = time.perf_counter() + 5
    while time.perf_counter() < until:
        for function in (compute, wait_for_disk):
            begun = time.perf_counter()
            function()
            spent[function.__name__] += time.perf_counter() - begun
    stacks.stop()
    seen = seconds(path)
    share = {name: seen[name] / sum(seen.values()) for name in spent}
    true = {name: spent[name] / sum(spent.values()) for name in spent}
    assert share == pytest.approx(true, abs=0.25)
    assert sum(seen.values()) == pytest.approx(5, rel=0.5)
    assert 0 < ledger.sampling_cpu_s < 0.5


def test_nothing_is_seen_while_no_batch_is_made(path: Path, ledger: WorkerLedger) -> None:
    """A worker that waits for something to do is not looked at."""
    ledger.makes = False
    stacks = MakingStacks(path, ledger)
    stacks.start()
    time.sleep(3 * making.EVERY_S)
    stacks.stop()
    assert not path.exists()


def test_what_has_grown_is_told_again(path: Path, ledger: WorkerLedger) -> None:
    """So a worker that is killed leaves what it was seen in until then."""
    stacks = MakingStacks(path, ledger)
    stacks.start()
    until = time.monotonic() + 60
    while time.monotonic() < until and sum(1 for _ in JsonLines(path).read()) < 3:
        compute()
    lines = list(JsonLines(path).read())
    stacks.stop()
    assert len(lines) >= 3
    assert {line["event"] for line in lines} == {"worker_stack"}
    told: dict[str, list[float]] = {}
    for line in lines:
        told.setdefault(str((line["function"], line["where"], line.get("inner"))), []).append(
            line["seconds"]
        )
    assert any("compute" in what for what in told)
    assert all(seconds == sorted(seconds) for seconds in told.values())
    (told, *_) = [one for one in read_stacks(path.parent) if one["function"] == "compute"]
    assert told["worker"] == 77 and HERE in told["where"]


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path: Path, ledger: WorkerLedger) -> None:
    """The worker goes on, and what it was seen in is lost."""
    stacks = MakingStacks(tmp_path / "missing" / "0-1.jsonl", ledger)
    stacks.start()
    until = time.perf_counter() + 0.3
    while time.perf_counter() < until:
        compute()
    stacks.stop()
    assert stacks._sums and not stacks._written


def test_no_thread_is_no_error(
    path: Path, ledger: WorkerLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system gives no more of them."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    stacks = MakingStacks(path, ledger)
    stacks.start()
    stacks.stop()
    assert not path.exists()


class Decoded(Dataset[torch.Tensor]):
    """Samples that a function of the user's own makes."""

    def __len__(self) -> int:
        return 240

    def __getitem__(self, index: int) -> torch.Tensor:
        compute()
        return torch.zeros(8)


class OfALibrary(Dataset[torch.Tensor]):
    """Samples in whose making no function of the user's own runs."""

    def __len__(self) -> int:
        return 64

    __getitem__: Any = staticmethod(functools.partial(torch.full, (2000, 2000)))


@pytest.mark.parametrize(
    ("dataset", "function", "where", "inner"),
    [
        (Decoded(), special("Decoded", "__getitem__"), HERE, "compute"),
        (
            OfALibrary(),
            "default_collate",
            "torch/utils/data/_utils/collate.py:",
            "collate_tensor_fn",
        ),
    ],
)
def test_a_worker_leaves_what_it_was_seen_in(
    tmp_path: Path, dataset: Dataset[torch.Tensor], function: str, where: str, inner: str
) -> None:
    """With the line of the user's own code where that runs, else of the library's."""
    assert worker.install(tmp_path)
    try:
        loader = DataLoader(dataset, batch_size=8, num_workers=1)
        for _ in loader:
            pass
        del loader
    finally:
        worker.uninstall()
    seen = max(read_stacks(tmp_path), key=lambda one: one["seconds"])
    assert (seen["function"], seen["inner"]) == (function, inner)
    assert where in seen["where"] and where in seen["inner_where"]


def test_what_has_no_name_of_use_is_told_of_all_the_same(path: Path, ledger: WorkerLedger) -> None:
    """It is part of the whole that shares are taken of: here a worker's own code, which makes no batch."""
    stacks = MakingStacks(path, ledger)
    stacks._below = users_codes(sys._getframe())
    stacks._look(time.perf_counter())
    stacks._write()
    assert list(seconds(path)) == [LIBRARY]
