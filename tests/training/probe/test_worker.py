"""The loader's workers seen from within: CPU and blocked time of a fetch apart, hand-over, idling."""

from __future__ import annotations

import math
import multiprocessing
import os
import site
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from perfkit.records import FETCHES, FetchRecord
from perfkit.training.probe import loader as trainers_side
from perfkit.training.probe import worker
from perfkit.training.probe.ledger import MOST_PARTS, tensors_of

BATCH, BATCHES, SAMPLE_S = 4, 6, 0.005


class Costly(Dataset[torch.Tensor]):
    """Samples that take a known time: waiting as for a disk, or computing as a decoder does."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return BATCH * BATCHES

    def __getitem__(self, index: int) -> torch.Tensor:
        if self.kind == "waits":
            time.sleep(SAMPLE_S)
        else:
            end = time.thread_time() + SAMPLE_S
            while time.thread_time() < end:
                pass
        return torch.zeros(8)


def fetches(folder: Path, kind: str, num_workers: int) -> list[FetchRecord]:
    """Load every batch under the probe and read what was recorded."""
    folder.mkdir()
    assert worker.install(folder)
    try:
        loader = DataLoader(Costly(kind), batch_size=BATCH, num_workers=num_workers)
        assert len(list(loader)) == BATCHES
        del loader
    finally:
        worker.uninstall()
    return [r for path in sorted(folder.glob("*.bin")) for r in FETCHES.read(path)]


def mean_cpu_s(records: list[FetchRecord]) -> float:
    """Of the batches that have it: without workers the CPU's clock is read now and then."""
    return fmean(r.fetch_cpu_s for r in records if not math.isnan(r.fetch_cpu_s))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_waiting_and_computing_are_told_apart(tmp_path: Path, num_workers: int) -> None:
    """A fetch that waits has hardly any CPU time in it, one that computes hardly anything else."""
    waits = fetches(tmp_path / "waits", "waits", num_workers)
    computes = fetches(tmp_path / "computes", "computes", num_workers)
    assert len(waits) == len(computes) == BATCHES
    known_s = BATCH * SAMPLE_S
    # without workers the time of other threads is the trainer's own, and no pickling
    assert all(math.isnan(r.serialise_cpu_s) == (num_workers == 0) for r in waits)
    for records in (waits, computes):
        assert fmean(r.fetch_s for r in records) >= 0.95 * known_s
    assert mean_cpu_s(waits) < 0.5 * known_s
    assert mean_cpu_s(computes) >= 0.95 * known_s


def test_every_worker_has_records_of_its_own(tmp_path: Path) -> None:
    """Two workers, two files; a fetch and a collate each."""
    records = fetches(tmp_path / "two", "waits", 2)
    assert {r.worker for r in records} == {0, 1}
    assert len(list((tmp_path / "two").glob("*.bin"))) == 2
    assert all(r.collate_s >= 0 for r in records)


@pytest.mark.parametrize(("num_workers", "tensors"), [(0, -1), (1, 1)])
def test_a_worker_counts_the_tensors_that_it_hands_over(
    tmp_path: Path, num_workers: int, tensors: int
) -> None:
    """Without one nothing is handed over."""
    records = fetches(tmp_path / "made", "waits", num_workers)
    assert {r.tensors for r in records} == {tensors}


class Graph:
    """A batch of a class of the script's own."""

    def __init__(self, nodes: int) -> None:
        self.nodes = [torch.zeros(1) for _ in range(nodes)]
        self.edges = torch.zeros(2, 3)
        self.name = "graph"
        self.itself = self


@pytest.mark.parametrize(
    ("batch", "tensors"),
    [
        (torch.zeros(3), 1),
        ({"x": torch.zeros(3), "y": [torch.zeros(1), (torch.zeros(2), 7)], "name": "cat"}, 3),
        (None, 0),
        ([1.5] * 100_000, 0),
        ([torch.zeros(1)] * 100, 100),
    ],
)
def test_tensors_of_a_batch(batch: Any, tensors: int) -> None:
    assert tensors_of(batch) == tensors


def test_tensors_of_a_batch_that_holds_itself() -> None:
    """It is looked through so far, and no further."""
    assert 41 <= tensors_of(Graph(40)) <= MOST_PARTS


def test_what_was_installed_is_taken_away(tmp_path: Path) -> None:
    """A loader made afterwards records nothing."""
    fetches(tmp_path / "first", "waits", 2)
    before = sum(path.stat().st_size for path in tmp_path.rglob("*.bin"))
    assert len(list(DataLoader(Costly("waits"), batch_size=BATCH, num_workers=2))) == BATCHES
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.bin")) == before


class Gated(Dataset[int]):
    """The sample of each index is given once the test opens its gate."""

    def __init__(self, gates: list[Any]) -> None:
        self.gates = gates

    def __len__(self) -> int:
        return len(self.gates)

    def __getitem__(self, index: int) -> int:
        assert self.gates[index].wait(60)
        return index


def when(condition: Any) -> None:
    """Wait until it holds."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


@pytest.mark.parametrize("persistent", [False, True])
def test_whether_the_next_batch_in_order_is_ready(tmp_path: Path, persistent: bool) -> None:
    """Two workers of which one is late: what the other has ready is not the batch that comes next."""
    gates = [multiprocessing.Event() for _ in range(4)]
    assert worker.install(tmp_path)
    try:
        loader = DataLoader(
            Gated(gates),
            batch_size=1,
            num_workers=2,
            prefetch_factor=2,
            persistent_workers=persistent,
        )
        for _ in range(2):
            for gate in gates:
                gate.clear()
            iterator = iter(loader)
            depth = trainers_side.depth_reader(iterator)
            ready = trainers_side.ready_reader(iterator, tmp_path)
            gates[1].set()
            when(lambda depth=depth: depth() == 1)
            assert ready() == 0
            gates[0].set()
            when(lambda ready=ready: ready() == 1)
            assert next(iterator).item() == 0
            when(lambda ready=ready: ready() == 1)
            assert next(iterator).item() == 1
            gates[3].set()
            when(lambda depth=depth: depth() == 1)
            assert ready() == 0
            gates[2].set()
            when(lambda ready=ready: ready() == 1)
            assert [batch.item() for batch in iterator] == [2, 3]
            assert ready() == -1
    finally:
        worker.uninstall()


def test_readiness_without_the_workers_word() -> None:
    """One worker's queue tells it; of two, a batch in the queue may be any."""
    gates = [multiprocessing.Event() for _ in range(4)]
    one = iter(DataLoader(Gated(gates), batch_size=1, num_workers=1))
    two = iter(DataLoader(Gated(gates), batch_size=1, num_workers=2))
    readers = [trainers_side.ready_reader(iterator) for iterator in (one, two)]
    assert [reader() for reader in readers] == [0, 0]
    gates[0].set()
    when(lambda: readers[0]() == 1)
    when(lambda: readers[1]() == -1)
    for gate in gates:
        gate.set()
    list(one), list(two)


def test_a_loader_without_workers_has_nothing_ready() -> None:
    """What it gives it makes; of an iterator that is no loader's nothing is known."""
    assert trainers_side.ready_reader(iter(DataLoader(Costly("waits"))))() == 0
    assert trainers_side.ready_reader(iter([1, 2]))() == -1


def test_a_spawned_worker_that_cannot_import_perfkit_loads_all_the_same(tmp_path: Path) -> None:
    """It runs torch's own loop and leaves no records; the training goes on."""
    root = str(Path(__file__).parents[3])
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "spawned = '--multiprocessing-fork' in sys.argv or __name__ != '__main__'\n"
        f"sys.path += {site.getsitepackages()!r} if spawned else {[root, *site.getsitepackages()]!r}\n"
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "import torch\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from perfkit.training.probe import worker\n"
        f"    assert worker.install(Path({str(tmp_path)!r}))\n"
        f"    sys.path.remove({root!r})\n"
        "    data = TensorDataset(torch.arange(8))\n"
        "    loader = DataLoader(data, 4, num_workers=1, multiprocessing_context='spawn')\n"
        "    print(sum(int(batch[0].sum()) for batch in loader))\n"
    )
    # -S is handed on to spawned interpreters: nothing but sys.path tells them where to look
    done = subprocess.run(
        [sys.executable, "-S", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert done.stdout.strip() == "28", done.stderr
    assert not list(tmp_path.glob("*.put"))


def test_the_worker_loop_of_another_library_is_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the module of the iterator, by the name of torch's, and is another module's."""
    library, iterators = ModuleType("library_worker"), ModuleType("library_iterators")
    exec("def _worker_loop(*args): ran.append(args)", vars(library))
    ran: list[Any] = []
    theirs = vars(library)["_worker_loop"]
    vars(library)["ran"], vars(iterators)["_worker_loop"] = ran, theirs
    for module in (library, iterators):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(worker, "_covered", set())

    worker.cover(iterators.__name__)
    assert vars(iterators)["_worker_loop"] is theirs  # nothing is installed
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        worker.install(tmp_path / folder)
        worker.cover(iterators.__name__)
        loop = vars(iterators)["_worker_loop"]
        assert (loop.folder, loop.home) == (str(tmp_path / folder), library.__name__)
    loop("kind", "dataset", "indices", "results", *range(11))
    ((kind, dataset, _, _, *rest),) = ran
    assert (kind, dataset, rest) == ("kind", "dataset", list(range(11)))
    worker.uninstall()
    assert vars(iterators)["_worker_loop"] is theirs
    worker.cover(torch.utils.data.dataloader.__name__)
    assert not isinstance(worker._worker_module._worker_loop, type(loop))
