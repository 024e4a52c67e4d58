"""What the player can be told to do. Each `do_` method answers with JSON values."""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import asdict
from typing import Any

import torch

from perfkit.runfolder import RunFolder
from perfkit.stats import LEAST_STEPS
from perfkit.training import arms, losses
from perfkit.training.blocks import ArmBlocks, cpu_s_of, loader_alone
from perfkit.training.edges import Edges
from perfkit.training.loading import make_loader, make_order
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.probe import ceilings, flops, memory, peaks, worker
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import (
    device_info,
    effective_precision,
    environment,
    synchronize,
)
from perfkit.training.probe.recorder import Recorder
from perfkit.training.probe.steps import marking_period
from perfkit.training.profiling import Profiling
from perfkit.training.setup import Training


class Commands:
    """One training with its loader, its recorder and its arms."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.config = folder.config()
        rank = folder.rank(0)
        self.training = Training(self.config)
        on_cuda = self.training.device.type == "cuda"
        device = CudaDevice(self.training.device) if on_cuda else None
        self.recorder = Recorder(rank.steps, device=device)
        self.loop = Loop(self.training, self.recorder, rank.steps)
        self._worker_records = worker.install(rank.loader)
        self._order = make_order(self.config, self.training.workload)
        loader = make_loader(self.config, self.training.workload, self._order)
        self._arms = arms.make(loader, rank.loader)
        self._arm_blocks = ArmBlocks(self.loop, self._real, self.config.queue_capacity)
        self._edges = Edges(self.loop, self._real, loader, self._order, str(folder.path))
        self._of_workers = memory.host_memory()
        self._lost_arms: dict[str, dict[str, str]] = {}
        """Arms that cannot be had, and why."""

    def close(self) -> None:
        """Put on disk what the recorder still holds."""
        self.recorder.close()

    @property
    def _real(self) -> arms.Real:
        real = self._arms["real"]
        assert isinstance(real, arms.Real)
        return real

    def describe(self) -> dict[str, Any]:
        """The machine as torch sees it, and what is in force."""
        found = environment(self.config.device)
        self._folder.write("environment", found)
        return {
            "environment": found,
            "effective": effective_precision(self.training.device.type) | self.training.effective(),
            "worker_records": self._worker_records,
        }

    def do_warm_up(self, seconds: float) -> dict[str, Any]:
        """Start the workers, run the first step, then warm up."""
        worker_start_s = self._real.start()
        begin = time.perf_counter()
        first = self._real.next()
        first_batch_s = time.perf_counter() - begin
        begin = time.perf_counter()
        self.loop.train_on(self.training.to_device(first))
        synchronize(self.training.device)
        first_step_s = time.perf_counter() - begin
        self.loop.check_loss()
        pids, begin = self._real.worker_pids(), time.perf_counter()
        cpu_s = cpu_s_of(pids)
        step_s = self.loop.warm_up(self._real, seconds, steps=min(self.config.queue_capacity, 32))
        used_s, wall_s = cpu_s_of(pids), time.perf_counter() - begin
        self._check_recorded()
        own_s = self.recorder.cost_s()
        self.recorder.phase_every = marking_period(step_s, own_s)
        workers = [child.pid for child in multiprocessing.active_children() if child.pid]
        # now, while they live: those that do not persist are gone at the edges
        self._of_workers = memory.host_memory(workers)
        cold = memory.device_memory(self.training.device).values
        memory.reset_peaks(self.training.device)
        return {
            "startup_s": self.training.startup_s
            | {
                "worker_start": worker_start_s,
                "first_batch": first_batch_s,
                "first_step": first_step_s,
            },
            "step_s": step_s,
            "run_delay_s": self.loop.run_delay_s(),
            "workers_cores": None if cpu_s is None or used_s is None else (used_s - cpu_s) / wall_s,
            "phase_every": self.recorder.phase_every,
            "own_s": own_s,
            "cold": cold,
            "effective": effective_precision(self.training.device.type) | self.training.effective(),
        }

    def do_block(
        self, block: int, arm: str, steps: int | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Time one block of an arm: so many steps, or, beside other arms, so many seconds.

        An arm that cannot be had answers with a `result` of null and why.
        """
        if arm in self._lost_arms:
            return {"block": block, "arm": arm, "result": None, "unavailable": self._lost_arms[arm]}
        parts = Parts()

        def once() -> dict[str, Any] | None:
            try:
                return self._timed(block, self._arms[arm], steps, seconds)
            except arms.BatchesChanged:
                parts.missing(arm, "batches_changed")
                return None

        # what training itself cannot do is the end of its row; an arm that fails costs that arm
        result = once() if arm == "real" else parts.measure(arm, once, self._edges.recover)
        if result is None:
            self._lost_arms[arm] = parts.unavailable
            source = self._arms[arm]
            if isinstance(source, arms.Replay):
                source.forget()
        return {"block": block, "arm": arm, "result": result, **parts.answer()}

    def _timed(
        self, block: int, source: arms.Real | arms.Replay, steps: int | None, seconds: float | None
    ) -> dict[str, Any]:
        own_ns, steps_before = self.recorder.own_ns, self.recorder.steps
        of_arm: dict[str, Any] = {}
        if seconds is None:
            result = self.loop.block(block, source, steps or self.config.whole_updates(LEAST_STEPS))
        else:
            found = self._arm_blocks.time(block, source, seconds)
            result = found.block
            of_arm = {k: v for k, v in asdict(found).items() if k != "block"}
        self._check_recorded()
        answer = asdict(result) | of_arm
        answer["loss"] = None if math.isnan(result.loss) else result.loss
        made = max(self.recorder.steps - steps_before, 1)
        answer["own_s"] = (self.recorder.own_ns - own_ns) * 1e-9 * result.steps / made
        return answer

    def do_load(self, seconds: float) -> dict[str, Any]:
        """Time the loader alone; see `perfkit.training.blocks.loader_alone`."""
        parts = Parts()

        def once() -> float:
            batches, elapsed_s = loader_alone(self._real, seconds, self.config.queue_capacity)
            return batches * self._order.size / elapsed_s

        found = parts.measure("loader_samples_per_sec", once, self._edges.recover)
        return {"samples_per_sec": found, **parts.answer()}

    def _check_recorded(self) -> None:
        """What was not written down was not measured."""
        if self.recorder.failure is not None:
            raise self.recorder.failure

    def do_edges(self, repeat_s: float | None = None) -> dict[str, Any]:
        """Time the edges of an epoch, then read the peaks of memory; each can be lost alone."""
        parts = Parts()
        found = self._edges.measure(parts, repeat_s)
        used = parts.measure("memory", self._memory)
        values, missing = used or ({}, {})
        answer = parts.answer()
        answer["unavailable"] |= missing
        return {"edges": found, "memory": values, **answer}

    def _memory(self) -> tuple[dict[str, int | None], dict[str, str]]:
        of_device, of_host = memory.device_memory(self.training.device), memory.host_memory()
        of_workers = self._of_workers
        pss = {"workers_pss_bytes": of_workers.values["workers_pss_bytes"]}
        return (
            of_device.values | of_host.values | pss,
            of_device.unavailable | of_host.unavailable | of_workers.unavailable,
        )

    def do_profile(self, step_s: float, stacks: bool) -> dict[str, Any]:
        """Profile a few steps, and time what launching their operators costs; see `Profiling.measure`."""
        trace = self._folder.rank(0).trace
        return Profiling(self.loop, self._real, self._edges, trace).measure(step_s, stacks=stacks)

    def do_epoch(self) -> dict[str, Any]:
        """Run one real epoch, for the forecast to be held against."""
        parts = Parts()
        epoch_s = parts.measure("full_epoch", self._edges.real_epoch, self._edges.recover)
        return {"epoch_s": epoch_s, **parts.answer()}

    def do_try(self, steps: int) -> dict[str, Any]:
        """Run a few steps, to see whether they fit into memory."""
        self.loop.run(self._real, steps)
        self.loop.check_loss()
        used = memory.device_memory(self.training.device).values | memory.host_memory().values
        return {"memory": used}

    def do_examine(self, seed: int, perturbations: list[float]) -> dict[str, Any]:
        """Losses, FLOPs per sample, and the device's ceilings for this precision; each can be lost alone.

        Args:
            seed: of the weights and the data of the losses.
            perturbations: relative sizes at which FP32's arithmetic is perturbed, to see its losses spread.
        """
        training = self.training
        dtype = training.autocast_dtype or ceilings.dtype_of(training.model)
        parts = Parts()
        # before the losses, which leave the model without its dropout
        flops_per_sample = parts.measure(
            "flops_per_sample", lambda: self._flops(parts), self._edges.recover
        )
        traces: dict[str, list[float]] = {}
        perturbed: dict[str, list[list[float]]] = {}

        def trace() -> None:
            traces[str(seed)] = losses.trace(self.loop, seed)
            for size in perturbations:
                perturbed[repr(size)] = losses.perturbed(self.loop, seed, size)

        parts.measure("losses", trace, self._edges.recover)
        info = device_info(self.config.device)
        return {
            "losses": traces,
            "perturbed": perturbed,
            "flops_per_sample": flops_per_sample,
            "gemm_flops_per_sec": parts.measure(
                "gemm_ceiling_share", lambda: ceilings.gemm_flops_per_sec(training.device, dtype)
            ),
            "copy_bytes_per_sec": parts.measure(
                "copy_bytes_per_sec", lambda: ceilings.copy_bytes_per_sec(training.device)
            ),
            "peak_flops_per_sec": peaks.peak_flops(info.name, self._peak_precision(dtype)),
            **parts.answer(),
        }

    def _flops(self, parts: Parts) -> int | None:
        workload = self.training.workload
        counted = flops.training_flops(
            self.training.model,
            self._edges.first_batch(),
            samples=self._order.size,
            loss=self.training.loss,
            step=workload.step,
        )
        if counted.reason == flops.NOTHING_TO_COUNT:
            parts.missing("flops_per_sample", "no_data")
        elif counted.reason is not None:
            parts.missing("flops_per_sample", "not_supported", counted.reason)
        return counted.per_sample

    def do_quit(self) -> dict[str, Any]:
        """Close what is open."""
        self._real.close()
        self.close()
        return {}

    def _peak_precision(self, dtype: torch.dtype) -> str:
        if dtype == torch.float32:
            matmul = effective_precision(self.training.device.type).get("matmul_precision")
            return "tf32" if matmul == "tf32" else "fp32"
        # of any other nothing is published
        return {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, str(dtype))
