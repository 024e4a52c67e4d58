"""What the player can be told to do. Each `do_` method answers with JSON values."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from perfkit.runfolder import RunFolder
from perfkit.training import arms, edges, losses
from perfkit.training.failures import BadLoss, classify
from perfkit.training.loop import Loop, split
from perfkit.training.probe import ceilings, flops, memory, peaks, worker
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import (
    device_info,
    effective_precision,
    environment,
    synchronize,
)
from perfkit.training.probe.recorder import Recorder
from perfkit.training.setup import BatchOrder, Training, make_loader

PHASE_EVERY_ON_CUDA = 8
"""Steps between two whose phases are marked on the device: keeps our events under 1 µs of most steps."""


class Commands:
    """One training with its loader, its recorder and its arms."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.config = folder.config()
        rank = folder.rank(0)
        self.training = Training(self.config)
        on_cuda = self.training.device.type == "cuda"
        self.recorder = Recorder(
            rank.steps,
            device=CudaDevice(self.training.device) if on_cuda else None,
            phase_every=PHASE_EVERY_ON_CUDA if on_cuda else 1,
        )
        self.loop = Loop(self.training, self.recorder, rank.steps)
        self._worker_records = worker.install(rank.loader)
        self._order = BatchOrder(self.config)
        loader = make_loader(self.config, self.training.workload, self._order)
        self._arms = arms.make(loader)
        self._of_workers = memory.host_memory()

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
        self.loop.train_on(*self.training.to_device(split(first)))
        synchronize(self.training.device)
        first_step_s = time.perf_counter() - begin
        self.loop.check_loss()
        step_s = self.loop.warm_up(self._real, seconds, steps=min(self.config.queue_capacity, 32))
        workers = [child.pid for child in multiprocessing.active_children() if child.pid]
        # now, while they live: those that do not persist are gone at the edges
        self._of_workers = memory.host_memory(workers)
        cold = memory.device_memory(self.training.device).values
        memory.reset_peaks(self.training.device)
        return {
            "startup_s": {
                "worker_start": worker_start_s,
                "first_batch": first_batch_s,
                "first_step": first_step_s,
            },
            "step_s": step_s,
            "cold": cold,
            "effective": effective_precision(self.training.device.type) | self.training.effective(),
        }

    def do_block(self, block: int, arm: str, steps: int) -> dict[str, Any]:
        """Time one block of an arm."""
        source = self._arms[arm]
        drained = (source.drain_s, source.drained) if isinstance(source, arms.Replay) else (0.0, 0)
        own_ns = self.recorder.own_ns
        steps_before = self.recorder.steps
        result = self.loop.block(block, source, steps)
        answer = asdict(result)
        answer["loss"] = None if math.isnan(result.loss) else result.loss
        made = self.recorder.steps - steps_before
        answer["own_s"] = (self.recorder.own_ns - own_ns) * 1e-9 * result.steps / max(made, 1)
        if isinstance(source, arms.Replay):
            answer["drain_s"] = source.drain_s - drained[0]
            answer["drained"] = source.drained - drained[1]
        return {"block": block, "arm": arm, "result": answer}

    def do_edges(self) -> dict[str, Any]:
        """Time the edges of an epoch, then read the peaks of memory."""
        of_workers = self._of_workers
        found = edges.measure(self.loop, self._real, self._order, str(self._folder.path))
        of_device, of_host = memory.device_memory(self.training.device), memory.host_memory()
        pss = {"workers_pss_bytes": of_workers.values["workers_pss_bytes"]}
        return {
            "edges": found,
            "memory": of_device.values | of_host.values | pss,
            "unavailable": of_device.unavailable | of_host.unavailable | of_workers.unavailable,
        }

    def do_epoch(self) -> dict[str, Any]:
        """Run one real epoch, for the forecast to be held against."""
        return {"epoch_s": edges.real_epoch(self.loop, str(self._folder.path))}

    def do_try(self, steps: int) -> dict[str, Any]:
        """Run a few steps, to see whether they fit into memory."""
        self.loop.run(self._real, steps)
        self.loop.check_loss()
        used = memory.device_memory(self.training.device).values | memory.host_memory().values
        return {"memory": used}

    def do_examine(self, seeds: list[int]) -> dict[str, Any]:
        """Losses by seed, FLOPs per sample, and the device's ceilings for this precision.

        Each needs memory that training does not: where there is none left it goes without.
        """
        training = self.training
        dtype = training.autocast_dtype or torch.float32
        info = device_info(self.config.device)
        unavailable: dict[str, str] = {}

        def kept(name: str, measure: Callable[[], Any]) -> Any:
            try:
                return measure()
            except Exception as error:
                if classify(error)[0] != "oom":
                    raise
                unavailable[name] = "no_memory"
                return None

        traces = kept("losses", lambda: {str(seed): self._trace(seed) for seed in seeds})
        counted = kept("flops_per_sample", self._flops)
        if counted is not None and counted.reason is not None:
            unavailable["flops_per_sample"] = counted.reason
        return {
            "losses": traces or {},
            "flops_per_sample": None if counted is None else counted.per_sample,
            "gemm_flops_per_sec": kept(
                "gemm_ceiling_share", lambda: ceilings.gemm_flops_per_sec(training.device, dtype)
            ),
            "copy_bytes_per_sec": kept(
                "copy_bytes_per_sec", lambda: ceilings.copy_bytes_per_sec(training.device)
            ),
            "peak_flops_per_sec": peaks.peak_flops(info.name, self._peak_precision(dtype)),
            "unavailable": unavailable,
        }

    def _trace(self, seed: int) -> list[float]:
        trace = losses.trace(self.loop, seed)
        bad = next((n for n, loss in enumerate(trace) if not math.isfinite(loss)), None)
        if bad is not None:
            raise BadLoss(
                f"the loss is {trace[bad]} after {bad} updates from the weights of seed {seed}"
            )
        return trace

    def _flops(self) -> flops.Flops:
        self._real.start()
        batch = self._real.next()
        self._real.close()
        return flops.training_flops(self.training.model, self.training.loss, batch)

    def do_quit(self) -> dict[str, Any]:
        """Close what is open."""
        self._real.close()
        self.close()
        return {}

    def _peak_precision(self, dtype: torch.dtype) -> str:
        if dtype == torch.float32:
            matmul = effective_precision(self.training.device.type).get("matmul_precision")
            return "tf32" if matmul == "tf32" else "fp32"
        return {torch.float16: "fp16", torch.bfloat16: "bf16"}[dtype]
