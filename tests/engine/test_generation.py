"""One generation on real processes: palindromes, one at a time, every question answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS, all_gone
from fake_engine import row

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event, ProcessFailed
from perfkit.engine.executor import Executor
from perfkit.engine.plan import Examine, GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.runfolder import StudyFolder, read_json

FP32, AMP = "tiny/fp32", "tiny/amp"
STEPS = 6


@dataclass(frozen=True)
class Ran:
    """A generation that was run: what came back, and what was written and told meanwhile."""

    study: StudyFolder
    result: GenerationResult
    turns: list[dict[str, Any]]
    events: list[Event]

    def blocks(self) -> list[str]:
        """Keys of the blocks' turns, in order."""
        return [turn["key"] for turn in self.turns if turn["what"].startswith("block")]


def carry_out(root: Path, keys: Sequence[str], **plan: Any) -> Ran:
    """Run one generation of real processes in a study folder of its own."""
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERFKIT_PATH", str(PLUGINS))
        # children are recognised by the folder they were started in
        patch.chdir(root)
        planned = tuple(_one_worker(row(key)) for key in keys)
        study = StudyFolder.create("bench")
        with Executor(study, timeout_s=60, emit=events.append) as executor:
            result = executor.run(
                GenerationPlan(number=1, group=0, rows=planned, warm_up_s=0.1, steps=STEPS, **plan)
            )
    study = StudyFolder(root / study.path)
    return Ran(study, result, list(study.baton.read()), events)


def _one_worker(planned: RowPlan) -> RowPlan:
    config: RunConfig = replace(planned.config, num_samples=328, num_workers=1)
    return replace(planned, config=config)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Two rows side by side, two palindromes, edges and examination."""
    losses = {FP32: Examine(seed=0, perturbations=(1e-3,)), AMP: Examine(seed=0)}
    yield carry_out(tmp_path_factory.mktemp("together"), [FP32, AMP], palindromes=2, examine=losses)


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A row that fails and one that does not, one after another, last to first."""
    root = tmp_path_factory.mktemp("in_turn")
    yield carry_out(
        root, [FP32, "raises/fp32"], palindromes=1, side_by_side=False, reverse=True, edges=False
    )


def test_blocks_go_in_palindromes(together: Ran) -> None:
    """A B B A, once for each palindrome, so that a drift of the machine meets both alike."""
    assert together.blocks() == [FP32, AMP, AMP, FP32] * 2
    for process in together.result.processes:
        assert [block.palindrome for block in process.blocks] == [0, 0, 1, 1]
        assert [block.number for block in process.blocks] == [1, 2, 3, 4]


def test_exactly_one_process_runs_at_a_time(together: Ran) -> None:
    """Turns do not overlap, and every block lies within a turn of its own process."""
    assert all(one["end_ns"] <= other["start_ns"] for one, other in pairwise(together.turns))
    for process in together.result.processes:
        turns = [t for t in together.turns if t["key"] == process.key]
        for block in process.blocks:
            assert any(t["start_ns"] <= block.start_ns < block.end_ns <= t["end_ns"] for t in turns)


def test_blocks_hold_what_was_asked_for(together: Ran) -> None:
    """As many steps as pinned, each recorded, with the workers' side of it."""
    for process in together.result.processes:
        assert (process.status, process.message) == ("ok", None)
        for block in process.blocks:
            assert (block.steps, block.samples, len(block.step_times_s)) == (
                STEPS,
                16 * STEPS,
                STEPS,
            )
            assert block.wall_s > 0 and block.own_s > 0
            assert block.loader["batches"] > 0
            total = sum(block.phases_s.values())
            assert total == pytest.approx(sum(block.step_times_s) / STEPS, rel=1e-6)


def test_edges_and_examination_are_answered(together: Ran) -> None:
    """The start and the partial batch of an epoch; losses of every seed, FLOPs and ceilings."""
    fp32, amp = together.result.processes
    assert fp32.edges["epoch_start"] > 0 and fp32.edges["pass_steps"] >= 4
    assert fp32.edges["partial_batch"] > 0
    assert (list(fp32.examined["losses"]), list(amp.examined["losses"])) == (["0"], ["0"])
    assert len(fp32.examined["perturbed"]) == 1
    # a linear layer of 8 × 4: 2 × 8 × 4 forward, and as much backward for the weights
    assert fp32.examined["flops_per_sample"] == 2 * 2 * 8 * 4
    assert fp32.examined["gemm_flops_per_sec"] > 0
    assert fp32.startup_s.keys() == {"worker_start", "first_batch", "first_step"}
    assert (fp32.memory["peak_rss_bytes"] or 0) > 0


def test_settings_are_read_back(together: Ran) -> None:
    """What is in force comes from torch in that process, and differs between the rows."""
    fp32, amp = together.result.processes
    assert fp32.effective != amp.effective
    assert fp32.environment["torch"] == amp.environment["torch"]


def test_a_finished_generation_is_stored_whole(together: Ran) -> None:
    """What is read back from disk is what was measured: a study can go on from it."""
    stored = read_json(together.study.generation(1))
    assert from_json(GenerationResult, stored) == together.result
    assert to_json(together.result) == stored


def test_costs_are_told_apart(together: Ran) -> None:
    """What a palindrome costs, and what only a first generation does, are parts of the whole."""
    result = together.result
    blocks_s = result.palindrome_s * result.palindromes
    assert 0 < blocks_s + result.examine_s < result.cost_s


def test_one_after_another_in_reverse(in_turn: Ran) -> None:
    """Last row first, each to its end before the next one starts; results in the rows' order."""
    assert list(dict.fromkeys(turn["key"] for turn in in_turn.turns)) == ["raises/fp32", FP32]
    assert [process.key for process in in_turn.result.processes] == [FP32, "raises/fp32"]
    assert not in_turn.result.side_by_side


def test_a_row_that_fails_leaves_the_other_whole(in_turn: Ran) -> None:
    """The failure is told once, with its status; what was not asked for is not there."""
    fine, broken = in_turn.result.processes
    assert (fine.status, len(fine.blocks)) == ("ok", 2)
    assert (fine.edges, fine.examined) == ({}, {})
    assert (broken.status, broken.blocks) == ("error", ())
    assert broken.message is not None and "planted" in broken.message
    failures = [event for event in in_turn.events if isinstance(event, ProcessFailed)]
    assert [failed.key for failed in failures] == ["raises/fp32"]


def test_a_process_that_dies_after_its_blocks_is_still_measured(tmp_path: Path) -> None:
    """Killed in its evaluation: its blocks count, its losses are missing, and both say why."""
    ran = carry_out(tmp_path, ["dies_late/fp32"], palindromes=1, examine={})
    (process,) = ran.result.processes
    assert (process.status, process.message, len(process.blocks)) == ("ok", None, 2)
    assert process.lost.keys() == {"edges", "examine"}
    assert "SIGKILL" in process.lost["edges"]
    assert process.unavailable["edges"] == process.unavailable["examine"] == "killed"
    assert from_json(GenerationResult, read_json(ran.study.generation(1))) == ran.result
    assert not any(isinstance(event, ProcessFailed) for event in ran.events)
    assert all_gone(tmp_path)


def test_nothing_is_left_running(together: Ran, in_turn: Ran) -> None:
    """Trainers, workers and the sampler have ended with their generation."""
    for ran in (together, in_turn):
        assert all_gone(ran.study.path.parents[1])
