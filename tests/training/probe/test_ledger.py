"""The records of batches: which have CPU times, and what is on the disk when."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perfkit.records import FETCHES, FetchRecord
from perfkit.training.probe import ledger as ledger_module
from perfkit.training.probe.ledger import CPU_EVERY_NS, WRITE_EVERY_NS, TrainerLedger

FETCH_NS, COLLATE_NS = 1_000_000, 200_000


class Machine:
    """A clock set by hand, and a CPU that works half of the time."""

    def __init__(self) -> None:
        self.now_ns = 10**9
        self.cpu_readings = 0

    def wall(self) -> int:
        return self.now_ns

    def cpu(self) -> int:
        self.cpu_readings += 1
        return self.now_ns // 2


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr(ledger_module, "perf_counter_ns", machine.wall)
    monkeypatch.setattr(ledger_module, "thread_time_ns", machine.cpu)
    yield machine


def batches(
    ledger: TrainerLedger, machine: Machine, count: int, step_ns: int, inside: Any = None
) -> None:
    """Fetch batches of four samples, one a step."""

    def collate(samples: list[int]) -> list[int]:
        machine.now_ns += COLLATE_NS
        return samples

    def fetch(indices: list[int]) -> Any:
        machine.now_ns += FETCH_NS
        if inside is not None:
            inside()
        return ledger.collate(collate, indices)

    for _ in range(count):
        begin_ns = machine.now_ns
        assert ledger.fetch(fetch, [1, 2, 3, 4]) == [1, 2, 3, 4]
        machine.now_ns = max(machine.now_ns, begin_ns + step_ns)


def read(folder: Path, pid: int | None = None) -> list[FetchRecord]:
    path = folder / f"0-{pid or os.getpid()}.bin"
    return list(FETCHES.read(path)) if path.exists() else []


def test_a_record_by_hand(tmp_path: Path, machine: Machine) -> None:
    """1 ms of reading, 0.2 ms of collating, half of each on the CPU."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 1, 0)
    (record,) = read(tmp_path)
    assert record[:4] == (0, 0, 4, 10**9 + FETCH_NS + COLLATE_NS)
    times = [record.fetch_s, record.fetch_cpu_s, record.collate_s, record.collate_cpu_s]
    assert times == pytest.approx([1e-3, 5e-4, 2e-4, 1e-4])
    assert all(map(math.isnan, (record.idle_s, record.handover_s, record.serialise_cpu_s)))


def test_the_cpu_s_clock_is_read_of_some_batches_only(tmp_path: Path, machine: Machine) -> None:
    """Of one in ten where ten batches are made in that time; of the others it is missing, not zero."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 20, CPU_EVERY_NS // 10)
    ledger.write()
    known = [not math.isnan(record.fetch_cpu_s) for record in read(tmp_path)]
    assert known == [number % 10 == 0 for number in range(20)]
    assert known == [not math.isnan(record.collate_cpu_s) for record in read(tmp_path)]
    assert machine.cpu_readings == 2 * 3


def test_it_is_read_of_every_batch_that_comes_after_that_time(
    tmp_path: Path, machine: Machine
) -> None:
    """Slow steps lose nothing."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 4, CPU_EVERY_NS)
    ledger.write()
    assert not any(math.isnan(record.fetch_cpu_s) for record in read(tmp_path))


def test_a_batch_fetched_inside_another_spoils_no_time(tmp_path: Path, machine: Machine) -> None:
    """A dataset that reads from a loader of its own: what was not read at both ends is missing."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 1, 0, inside=lambda: batches(ledger, machine, 1, 0))
    ledger.write()
    inner, outer = read(tmp_path)
    assert inner.fetch_s == pytest.approx(1e-3)
    assert outer.fetch_s == pytest.approx(2.2e-3)
    assert math.isnan(outer.fetch_cpu_s)


def test_at_most_a_tenth_of_a_second_is_not_on_the_disk(tmp_path: Path, machine: Machine) -> None:
    """What a kill loses; `write` leaves nothing."""
    assert WRITE_EVERY_NS <= 100_000_000
    ledger = TrainerLedger(tmp_path, worker=0)
    step_ns = WRITE_EVERY_NS // 20
    for made in range(1, 61):
        batches(ledger, machine, 1, step_ns)
        assert made - len(read(tmp_path)) < 20
    ledger.write()
    assert [record.batch for record in read(tmp_path)] == list(range(60))


def test_rare_batches_are_written_at_once(tmp_path: Path, machine: Machine) -> None:
    """With the next of them half a second away, none waits for it."""
    ledger = TrainerLedger(tmp_path, worker=0)
    for made in range(1, 4):
        batches(ledger, machine, 1, WRITE_EVERY_NS + FETCH_NS)
        assert len(read(tmp_path)) == made


def test_a_batch_that_raises_leaves_no_record(tmp_path: Path, machine: Machine) -> None:
    """Neither does it spoil the next one's."""
    ledger = TrainerLedger(tmp_path, worker=0)

    def broken() -> None:
        raise ValueError("a broken sample")

    with pytest.raises(ValueError, match="a broken sample"):
        batches(ledger, machine, 1, 0, inside=broken)
    batches(ledger, machine, 1, 0)
    ledger.write()
    (record,) = read(tmp_path)
    assert (record.batch, record.fetch_s) == (0, pytest.approx(1e-3))


def in_a_child(run: Callable[[], None]) -> int:
    """Run something in a forked process that leaves by `os._exit`; returns its number."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_its_own_batches_alone(tmp_path: Path, machine: Machine) -> None:
    """What the parent has not written is the parent's to write; the child counts from 0."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 3, 0)

    def trains() -> None:
        batches(ledger, machine, 2, 0)
        ledger.write()

    child = in_a_child(trains)
    ledger.write()
    assert [record.batch for record in read(tmp_path, child)] == [0, 1]
    assert [record.batch for record in read(tmp_path)] == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_that_leaves_at_once_loses_the_last_tenth(
    tmp_path: Path, machine: Machine
) -> None:
    """`os._exit` runs nothing of ours: forty batches in 0.2 s, the last of which may be lost."""
    step_ns = WRITE_EVERY_NS // 20
    child = in_a_child(lambda: batches(TrainerLedger(tmp_path, worker=0), machine, 40, step_ns))
    assert 40 - 20 <= len(read(tmp_path, child)) <= 40


def test_a_full_disk_ends_the_records_and_not_the_training(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece that was taken stays readable; nothing is written behind it."""
    ledger = TrainerLedger(tmp_path, worker=0)
    batches(ledger, machine, 1, 0)
    write, room = os.write, [FETCHES.struct.size + 10]

    def filling(file: int, data: bytes) -> int:
        taken = write(file, data[: room[0]])
        room[0] -= taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return taken

    monkeypatch.setattr(os, "write", filling)
    for _ in range(3):
        batches(ledger, machine, 2, WRITE_EVERY_NS)
        ledger.write()
    assert [record.batch for record in read(tmp_path)] == [0, 1]
