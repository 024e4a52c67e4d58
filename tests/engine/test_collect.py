"""Reading a run folder back: whole, torn, and what the numbers of a block are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.config import RunConfig
from perfkit.engine.collect import BlockWatch, collect
from perfkit.engine.process import Failed
from perfkit.engine.production import deferred_s, loader_means, production_s
from perfkit.engine.results import ProcessResult
from perfkit.records import FETCHES, NAN, STEPS, FetchRecord, StepRecord
from perfkit.runfolder import RunFolder


def step(index: int = 0, **changes: Any) -> StepRecord:
    """A step of 0.1 s on the host's clock, without a device."""
    usual = StepRecord(
        *(index, 1, 16, 2, 1, 1, 1, 0),
        *(0.1, 0.02, 0.01, 0.03, 0.02, 0.01),
        *(NAN, 0.02, NAN, NAN, NAN, NAN, NAN, 0.004),
    )
    return usual._replace(**changes)


def fetch(worker: int = 0, end_ns: int = 0, **changes: Any) -> FetchRecord:
    """A batch that took 0.2 s to read, 0.05 s to collate and 0.05 s to hand over, after 0.1 s idle."""
    usual = FetchRecord(worker, 0, 16, end_ns, 0.1, 0.2, 0.15, 0.05, 0.05, 0.05, 0.01)
    return usual._replace(**changes)


def run_folder(path: Path, steps: int = 4, arm: str = "real", **told: Any) -> RunFolder:
    """A run folder of one process that ran one block of `steps`, written as the player writes it."""
    folder = RunFolder.create(path, RunConfig(arch="x"))
    rank = folder.rank(0)
    rank.steps.write_bytes(STEPS.header + b"".join(STEPS.pack(step(n)) for n in range(steps)))
    result = {"first_step": 0, "steps": steps, "start_ns": 0, "end_ns": 400_000_000}
    result |= {
        "queue_start": 2,
        "queue_end": 2,
        "steady": True,
        "unsteady_because": None,
        "own_s": 0.0,
    } | told
    for event in (
        {"event": "ready", "environment": {"torch": "x"}, "effective": {"matmul": "ieee"}},
        {"event": "done", "do": "warm_up", "startup_s": {"first_step": 0.5}, "cold": {"peak_x": 1}},
        {"event": "done", "do": "block", "block": 1, "arm": arm, "result": result},
        {"event": "done", "do": "edges", "edges": {"evaluation": 1.0}, "memory": {"peak_x": 2}},
    ):
        rank.events.append({"t_ns": 0, **event})
    return folder


def read(folder: RunFolder, failure: Failed | None = None, blocks: int = 1) -> ProcessResult:
    watches = [
        BlockWatch(number=n + 1, palindrome=n, disturbed=False, foreign_cpu_s=0.0)
        for n in range(blocks)
    ]
    return collect(folder, "x/fp32", watches, failure, "processes/1-0")


def test_a_whole_folder(tmp_path: Path) -> None:
    """Everything that a process answered is in its result, the records behind it too."""
    found = read(run_folder(tmp_path / "run"))
    (block,) = found.blocks
    assert (found.status, found.folder) == ("ok", "processes/1-0")
    assert (block.steps, block.samples, block.wall_s) == (4, 64, pytest.approx(0.4))
    assert block.step_times_s == (0.1,) * 4
    assert block.phases_s["forward"] == pytest.approx(0.03)
    assert (block.phases_clock, block.not_ready_share) == ("host", 0.0)
    assert block.run_delay_s == pytest.approx(0.004)
    assert found.startup_s == {"first_step": 0.5}
    assert found.edges == {"evaluation": 1.0}
    assert found.memory == {"cold_peak_x": 1, "peak_x": 2}
    assert found.effective == {"matmul": "ieee"} and found.environment == {"torch": "x"}


def test_torn_ends_are_dropped(tmp_path: Path) -> None:
    """A death in the middle of a record and of a line leaves everything before them readable."""
    folder = run_folder(tmp_path / "run")
    rank = folder.rank(0)
    with rank.steps.open("ab") as file:
        file.write(STEPS.pack(step(4))[:50])
    with rank.events.path.open("ab") as file:
        file.write(b'{"event": "done", "do": "bl')
    assert read(folder) == read(run_folder(tmp_path / "whole"))


def test_a_process_that_died_keeps_its_blocks(tmp_path: Path) -> None:
    """The failure is the status; blocks that were answered stay, those that were not are left out."""
    found = read(run_folder(tmp_path / "run"), Failed("killed", "killed by SIGKILL"), blocks=2)
    assert (found.status, found.message) == ("killed", "killed by SIGKILL")
    assert [block.number for block in found.blocks] == [1]


def test_a_process_that_never_answered_is_empty(tmp_path: Path) -> None:
    """A folder with a configuration and nothing else is a result without numbers."""
    folder = RunFolder.create(tmp_path / "run", RunConfig(arch="x"))
    found = read(folder, Failed("error", "exited"))
    assert (found.blocks, found.edges, found.memory, found.examined) == ((), {}, {}, {})


def test_only_batches_made_inside_the_block_tell_of_it(tmp_path: Path) -> None:
    """A batch begun before the block, or ended after it, is not one of its batches; a torn file is none."""
    folder = run_folder(tmp_path / "run")
    ends = (300_000_000, 399_000_000, 400_000_001, 450_000_000)
    records = b"".join(FETCHES.pack(fetch(end_ns=ns, idle_s=0.0)) for ns in ends)
    (folder.rank(0).loader / "0-1.bin").write_bytes(FETCHES.header + records)
    (folder.rank(0).loader / "1-2.bin").write_bytes(b"not a record file")
    (block,) = read(folder).blocks
    assert block.loader["batches"] == 2


def test_repeated_blocks_do_not_count(tmp_path: Path) -> None:
    """Only the blocks that the engine watched to their end are read."""
    assert collect(run_folder(tmp_path / "run"), "x/fp32", [], None, "").blocks == ()


def test_drained_batches_are_paid_for() -> None:
    """10 steps in 2 s, while the workers together make a batch in 0.3 s: 1 s was borrowed."""
    assert deferred_s(2.0, steps=10, drained=8, production_s=0.3) == pytest.approx(1.0)
    # no more than the drained batches took to make
    assert deferred_s(2.0, steps=10, drained=2, production_s=0.3) == pytest.approx(0.6)


@pytest.mark.parametrize(("wall_s", "drained"), [(2.0, 0), (2.0, -3), (3.1, 8), (5.0, 8)])
def test_what_was_not_borrowed_is_not_owed(wall_s: float, drained: int) -> None:
    """A queue that stood or grew owes nothing, nor does a block slower than its workers."""
    assert deferred_s(wall_s, steps=10, drained=drained, production_s=0.3) == 0


@given(st.floats(0.01, 60), st.integers(1, 500), st.integers(-32, 32), st.floats(0.001, 5))
def test_a_debt_is_never_more_than_was_drained(
    wall_s: float, steps: int, drained: int, each_s: float
) -> None:
    """Between nothing and the production of the drained batches; with it, no block beats its workers."""
    owed = deferred_s(wall_s, steps, drained, each_s)
    assert 0 <= owed <= max(0, drained) * each_s + 1e-12
    assert wall_s + owed <= max(wall_s, steps * each_s) + 1e-9


def test_production_is_of_all_workers_and_of_unpaused_batches_only() -> None:
    """0.6 s a batch by two workers is one in 0.3 s; one that a pause cut in two does not count."""
    second = 1_000_000_000
    usual = {"fetch_s": 0.5, "collate_s": 0.05, "handover_s": 0.05}
    whole = [fetch(worker, end_ns=2 * second, **usual) for worker in (0, 1)]
    cut = fetch(0, end_ns=9 * second, fetch_s=5.0)
    stretches = [(second, 3 * second), (8 * second, 10 * second)]
    assert production_s([*whole, cut], stretches, 2) == pytest.approx(0.3)
    # fewer batches than workers say nothing, nor do those of no worker
    assert production_s(whole, stretches, 3) is None
    assert production_s([cut], stretches, 1) is None
    assert production_s(whole, stretches, 0) is None


def test_an_arm_s_own_figures_are_read(tmp_path: Path) -> None:
    """What was drained is taken off the block; a replay owes nothing for a queue that emptied."""
    folder = run_folder(tmp_path / "run", arm="replay_running", queue_end=0, drain_s=0.1, drained=3)
    (block,) = read(folder).blocks
    assert (block.arm, block.drained, block.deferred_s) == ("replay_running", 3, 0.0)
    assert block.wall_s == pytest.approx(0.3)


def test_an_arm_that_cannot_be_had_is_no_block(tmp_path: Path) -> None:
    """A loop that changes its batches is not replayed, and says so."""
    folder = run_folder(tmp_path / "run")
    answer = {"do": "block", "block": 2, "arm": "replay", "result": None}
    reason = {"replay": "batches_changed"}
    folder.rank(0).events.append({"event": "done", "t_ns": 0, **answer, "unavailable": reason})
    found = read(folder, blocks=2)
    assert [block.number for block in found.blocks] == [1]
    assert found.unavailable == reason


@pytest.mark.parametrize(("foreign_s", "own_s"), [(None, 0.004), (0.01, 0.004), (0.08, 0.0)])
def test_somebody_else_s_load_is_no_contention_of_ours(
    tmp_path: Path, foreign_s: float | None, own_s: float
) -> None:
    """Four steps waited 4 ms each for a core; 80 ms of foreign load explain all of it."""
    watch = BlockWatch(number=1, palindrome=0, disturbed=False, foreign_cpu_s=foreign_s)
    (block,) = collect(run_folder(tmp_path / "run"), "x/fp32", [watch], None, "").blocks
    assert block.run_delay_s == pytest.approx(own_s)


def test_loader_means_by_hand() -> None:
    """Means per batch, and 0.3 s busy of 0.4 s: three quarters."""
    means = loader_means([fetch(), fetch(1, fetch_s=0.4, idle_s=0.3)])
    assert means["fetch_s"] == pytest.approx(0.3)
    assert means["busy_share"] == pytest.approx(0.8 / 1.2)
    assert means["batches"] == 2


def test_tensors_of_a_batch_where_they_were_counted() -> None:
    made = [fetch(tensors=2), fetch(tensors=4), fetch(tensors=-1)]
    assert loader_means(made)["tensors"] == 3
    assert "tensors" not in loader_means([fetch()])


def test_the_cpu_s_share_is_that_of_the_batches_that_have_it() -> None:
    """The clock was read of one batch of 0.1 s, half of it CPU time; the mean batch took 0.25 s."""
    read = fetch(fetch_s=0.1, fetch_cpu_s=0.05, collate_s=NAN, collate_cpu_s=NAN)
    unread = fetch(1, fetch_s=0.4, fetch_cpu_s=NAN, collate_s=0.02, collate_cpu_s=NAN)
    means = loader_means([read, unread])
    assert means["fetch_cpu_s"] == pytest.approx(0.125)
    assert "collate_cpu_s" not in means
    assert not {"fetch_cpu_s", "collate_cpu_s"} & loader_means([unread]).keys()


def test_a_batch_that_took_no_time_has_its_cpu_time() -> None:
    """A collation too short for the clock has no share; what its CPU took is told as it is."""
    means = loader_means([fetch(collate_s=0.0, collate_cpu_s=0.0)])
    assert means["collate_cpu_s"] == 0.0


def test_a_trainer_without_workers_has_no_busy_share() -> None:
    """Hand-over and idling do not exist in the trainer's own process: they are left out."""
    means = loader_means([fetch(handover_s=NAN, idle_s=NAN)])
    assert not {"handover_s", "busy_share"} & means.keys()
