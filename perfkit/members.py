"""What the mappings of a row hold: the name of each member, what it is counted in, and what it is.

The glossary is made from this list, and a test holds every stored document against it. Members without a line
here are named by whoever trains: a workload's periodic work, a variant's settings, a function of a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from perfkit.metrics import Kind


class Member(NamedTuple):
    """One member of a mapping."""

    kind: Kind
    description: str
    """One sentence for the glossary, without a full stop."""


NAMED_BY_USER = {
    "epoch_parts_s": "periodic work that a workload declares, functions of a watched script",
    "startup_s": "`first_` and the name of periodic work",
    "effective": "what a variant reads back",
}
"""Mappings that may have other members, and what these are called after."""

MEMBERS: Mapping[str, Mapping[str, Member]] = {
    "epoch_parts_s": {
        "steps": Member("duration", "All whole batches of an epoch"),
        "partial_batch": Member("duration", "The last batch, where it is smaller"),
        "epoch_start": Member("duration", "Until the first batch is there, beyond a step's own wait"),
        "evaluation": Member("duration", "Evaluation, spread over the epochs between two"),
        "metrics": Member("duration", "Metrics of the embedding, likewise"),
        "visualisation": Member("duration", "Plots of the embedding, likewise"),
        "checkpoint": Member("duration", "`torch.save` of a watched script"),
        "work between steps": Member("duration", "Of a watched script, where no function is named"),
        "work between epochs": Member("duration", "Of a watched script, where no function is named"),
    },
    "phases_s": {
        "data_wait": Member("duration", "For a batch, where it is not known whether one was ready"),
        "waiting": Member("duration", "For a batch that was not there"),
        "transfer": Member("duration", "For one that was there and had to be handed over"),
        "h2d": Member("duration", "Copying the batch to the device"),
        "forward": Member("duration", "Forward and loss; of a watched script from batch to backward"),
        "backward": Member("duration", "Backward, with what it waits for other ranks"),
        "optimizer": Member("duration", "The optimizer's step"),
        "communication": Member("duration", "What every rank waits in collectives"),
        "other": Member("duration", "The rest of the step"),
    },
    "memory": {
        "cold_peak_allocated_bytes": Member("bytes", "Allocated by the first steps, compiling included"),
        "cold_peak_reserved_bytes": Member("bytes", "Reserved by them"),
        "num_alloc_retries": Member("count", "Times that the allocator had to give its cache back"),
        "num_segments": Member("count", "Blocks that it has asked the driver for"),
        "total_bytes": Member("bytes", "The device's own memory"),
        "workers_pss_bytes": Member("bytes", "Of the loader's workers, what they share counted once"),
    },
    "telemetry": {
        "cpu_busy_share": Member("share", "All cores together"),
        "memory_available_bytes": Member("bytes", "That the host could still give"),
        "gpu_memory_used_bytes": Member("bytes", "Of the whole GPU, whoever uses it"),
        "gpu_memory_total_bytes": Member("bytes", "That it has"),
        "gpu_memory_reserved_bytes": Member("bytes", "That the driver keeps for itself"),
        "sm_clock_hz": Member("count", "Clock of its multiprocessors while it computes, in hertz"),
        "sm_clock_max_hz": Member("count", "The highest one it could have"),
        "power_watts": Member("count", "Watts"),
        "temperature_celsius": Member("count", "Degrees"),
        "thermal_slowdown_share": Member("share", "Part of the time in which heat slowed it down"),
        "power_brake_share": Member("share", "Part of the time in which its power supply did"),
    },
    "startup_s": {
        "worker_start": Member("duration", "Starting the loader's workers"),
        "first_batch": Member("duration", "Until the first batch is there"),
        "first_step_cold": Member("duration", "The first step of the first process, with what it compiles"),
        "first_step": Member("duration", "That of later processes, which find the cache of compile warm"),
        "cache_fill": Member("duration", "Decoding every sample once, for `cache_decoded`"),
        "first_evaluation": Member("duration", "Evaluation for the first time"),
    },
    "loader": {
        "batches": Member("count", "Batches whose making was seen"),
        "fetch_s": Member("duration", "Reading and transforming a batch's samples"),
        "fetch_cpu_s": Member("duration", "CPU time of that; the rest was blocked"),
        "collate_s": Member("duration", "Making a batch of them"),
        "collate_cpu_s": Member("duration", "CPU time of that"),
        "handover_s": Member("duration", "Putting it into the result queue"),
        "serialise_cpu_s": Member("duration", "CPU time of pickling and shared memory"),
        "tensors": Member("count", "Tensors of a batch, each handed over by itself"),
        "busy_share": Member("share", "Part of their time in which the workers made batches"),
        "samples_per_sec": Member("rate", "What the loader delivers alone"),
    },
    "loss": {
        "distance": Member("ratio", "Largest distance to FP32's losses ÷ FP32's first loss"),
        "tolerance": Member("ratio", "How far errors of the row's own rounding take FP32's losses"),
    },
    "effective": {
        "matmul_precision": Member("text", "What FP32 products compute in: `ieee`, `tf32` or `bf16`"),
        "conv_precision": Member("text", "What FP32 convolutions compute in"),
        "autocast_dtype": Member("text", "What autocast computes in"),
        "grad_scaler": Member("text", "Whether gradients are scaled"),
        "bf16": Member("text", "`emulated` on a CPU without instructions for it"),
        "compile": Member("text", "Mode of the compiled model; `off` where it is not compiled"),
        "memory_format": Member("text", "Of the weights, by their strides"),
        "optimizer": Member("text", "Whether its update is one fused kernel"),
        "dataset": Member("text", "Where samples come from once they are cached"),
        "malloc": Member("text", "Whether freed host memory is kept"),
        "num_threads": Member("text", "Threads of torch in the training process"),
    },
    "windows": {
        "first_epoch": Member("duration", "Mean steps of the first epoch of a watched training"),
        "later_epochs": Member("duration", "Those of all later ones"),
    },
}  # fmt: skip
"""By the field of `Row`, the members of each mapping."""
