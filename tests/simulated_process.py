"""A training process on the simulated device: what the player does, recorded by the real recorder, read back.

The run folder that it writes is that of `perfkit.training.player`; from there on all is the real thing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulated_loader import Job
from simulated_training import SAMPLES, Machine
from simulated_truth import burst

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Evidence
from perfkit.engine.collect import BlockWatch, collect
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.records import FETCHES, NAN, FetchRecord
from perfkit.runfolder import RunFolder
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.rows import make_rows
from perfkit.training.probe.recorder import Recorder
from perfkit.training.probe.rundelay import RunDelay
from perfkit.training.probe.steps import marking_period

BLOCKS = 2
ROUNDS = 12
"""Rotations of the batches in a block."""


class NoDelay(RunDelay):
    """A system that does not tell of cores."""

    def read_ns(self) -> int:
        return -1


def evidence_from(job: Job, path: Path) -> Evidence:
    """Return what perfkit knows of a job, not yet attributed."""
    planned = RowPlan(key="simulated/fp32", arch="simulated", variant="fp32", config=_config(job))
    folder = RunFolder.create(path, planned.config)
    process = _Process(job, folder)
    process.play()
    watches = [
        BlockWatch(number=n, palindrome=n // 2, disturbed=False, foreign_cpu_s=0.0)
        for n in range(BLOCKS)
    ]
    result = collect(folder, planned.key, watches, None, "1-0")
    generation = GenerationResult(
        number=1,
        group=0,
        palindromes=BLOCKS // 2,
        side_by_side=True,
        processes=(result,),
        cost_s=1.0,
        palindrome_s=1.0,
    )
    (row,) = make_rows((planned,), (generation,), {})
    found = evidence_of(row, planned, result, {"cores_usable": 8})
    assert found.step_s is not None
    seen = burst(process.machine, process.steps, found.step_s) if job.on_device else None
    return Evidence(
        row=found.row,
        config=found.config,
        rows=found.rows,
        stretches=found.stretches,
        burst=seen,
        environment=found.environment,
    )


def pass_steps(job: Job) -> int:
    """Return the steps of a pass that prices the start of an epoch: each worker makes every batch once."""
    return max(1, job.workers) * len(job.make_ns)


def _config(job: Job) -> RunConfig:
    return RunConfig(
        arch="simulated",
        devices=("cuda:0",) if job.on_device else ("cpu",),
        batch_size=SAMPLES,
        num_samples=SAMPLES * job.steps,
        num_workers=job.workers,
        prefetch_factor=max(1, job.prefetch),
        persistent_workers=job.persistent,
        pin_memory=job.pinned,
        epochs=job.epochs,
    )


class _Process:
    def __init__(self, job: Job, folder: RunFolder) -> None:
        self._job = job
        self._rank = folder.rank(0)
        self.machine = Machine(job)
        self._recorder = Recorder(
            self._rank.steps,
            device=self.machine.device if job.on_device else None,
            host_ns=self.machine.device.host_ns,
            run_delay=NoDelay(),
        )
        self.machine.recorder = self._recorder
        self.steps = 0
        """Played when the blocks were over."""

    def play(self) -> None:
        """Warm up, time the blocks and the edges, and write what came of it."""
        self._tell("ready")
        self._tell("done", do="warm_up", startup_s=self._warm_up())
        for number in range(BLOCKS):
            result = self._block(number)
            self._tell("done", do="block", block=number, arm="real", result=result)
        self.steps = self.machine.steps
        self._tell("done", do="edges", edges=self._edges())
        self._recorder.close()
        self._write_fetches()

    def _warm_up(self) -> dict[str, float]:
        machine, job = self.machine, self._job
        recorder, machine.recorder = machine.recorder, None
        worker_start_ns = machine.begin_pass()
        begin_ns = machine.now_ns
        machine.next()
        first_batch_ns = machine.now_ns - begin_ns
        begin_ns = machine.now_ns
        machine.train()
        machine.synchronize()
        first_step_ns = machine.now_ns - begin_ns
        machine.recorder = recorder
        steps = 3 * pass_steps(job) - 1
        begin_ns, end_ns = self._run(steps)
        step_s = (end_ns - begin_ns) * 1e-9 / steps
        self._recorder.phase_every = marking_period(step_s, self._recorder.cost_s())
        return {
            "worker_start": worker_start_ns * 1e-9,
            "first_batch": first_batch_ns * 1e-9,
            "first_step": first_step_ns * 1e-9,
        }

    def _run(self, steps: int) -> tuple[int, int]:
        machine = self.machine
        machine.synchronize()
        begin_ns = machine.now_ns
        for _ in range(steps):
            machine.step()
        self._recorder.end_step()
        machine.synchronize()
        end_ns = machine.now_ns
        self._recorder.drain()
        return begin_ns, end_ns

    def _block(self, number: int) -> dict[str, Any]:
        self._recorder.block = number
        steps = ROUNDS * len(self._job.make_ns)
        queue_start, first = self.machine.depth(), self._recorder.steps
        start_ns, end_ns = self._run(steps)
        self._recorder.block = -1
        return {
            "first_step": first,
            "steps": steps,
            "start_ns": start_ns,
            "end_ns": end_ns,
            "queue_start": queue_start,
            "queue_end": self.machine.depth(),
            "unsteady_because": None,
            "own_s": 0.0,
        }

    def _edges(self) -> dict[str, Any]:
        machine, job = self.machine, self._job
        steps = pass_steps(job)
        machine.begin_pass()
        self._run(steps)
        begin_ns = machine.now_ns
        machine.begin_pass()
        self._run(steps)
        found: dict[str, Any] = {
            "epoch_start": (machine.now_ns - begin_ns) * 1e-9,
            "pass_steps": steps,
            "periodic": {},
        }
        begin_ns = machine.now_ns
        machine.evaluate()
        found["evaluation"] = (machine.now_ns - begin_ns) * 1e-9
        if job.periodic_ns:
            begin_ns = machine.now_ns
            machine.periodic()
            run_s = (machine.now_ns - begin_ns) * 1e-9
            found["periodic"]["metrics"] = {"run_s": run_s, "every": job.every}
        return found

    def _tell(self, event: str, **values: Any) -> None:
        self._rank.events.append({"event": event, "t_ns": self.machine.now_ns, **values})

    def _write_fetches(self) -> None:
        free_ns: dict[int, int] = {}
        with (self._rank.loader / "0-1.bin").open("wb") as file:
            file.write(FETCHES.header)
            for number, (worker, start_ns, end_ns) in enumerate(self.machine.made):
                idle_s = (start_ns - free_ns.get(worker, start_ns)) * 1e-9
                free_ns[worker] = end_ns
                fetch_s = (end_ns - start_ns) * 1e-9
                record = FetchRecord(
                    worker, number, SAMPLES, end_ns, idle_s, fetch_s, fetch_s, 0.0, 0.0, 0.0, NAN
                )
                file.write(FETCHES.pack(record))
