"""The metrics of a row, told once: what each is called, what it means, and which of two values is better.

Columns of the console and of Markdown, heads of CSV files and frames, plots, names of what is missing and the
glossary are made from this table. A name is the field of `Row` that holds the metric, with its SI unit as
suffix; what a reader sees of it is its title.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["duration", "bytes", "share", "ratio", "rate", "count", "text"]
"""What a metric is counted in: seconds, bytes, a part of a whole (0–1), one thing ÷ another, a number a
second, a number, or words."""
Better = Literal["lower", "higher"]

INTERVAL = ("value", "low", "high")
SPREAD = ("median", "p10", "p90")
JUDGED = (*INTERVAL, "outcome")


@dataclass(frozen=True)
class Metric:
    """One thing that is known of a row."""

    name: str
    """The field of `Row`, or what the field's values are chosen for (`peak_bytes`)."""
    title: str
    """At the head of a column or of a plot."""
    kind: Kind
    description: str
    """One sentence for the glossary, without a full stop."""
    better: Better | None = None
    """Which of two values is the better one; None where neither is."""
    said: str = ""
    """In running text, where that is not the title with a small first letter."""
    parts: tuple[str, ...] = ()
    """Of an interval or a spread: the fields that it has, the first of them its value."""
    member: str = ""
    """Of a mapping: the column of one of its members, `phase_{}_s`."""

    @property
    def in_text(self) -> str:
        """What it is called within a sentence; abbreviations keep their capitals."""
        if self.said or self.title[1:2].isupper():
            return self.said or self.title
        return self.title[:1].lower() + self.title[1:]

    @property
    def preference(self) -> str:
        """Which value is better, in words: `shorter is better`; empty where neither is."""
        if self.better is None:
            return ""
        less = "shorter" if self.kind == "duration" else "less"
        return f"{less if self.better == 'lower' else 'more'} is better"

    def heads(self) -> dict[str, str]:
        """The columns of an interval or a spread, each with its part: `epoch_time_low_s` is `low`."""
        return {head(self.name, "" if n == 0 else part): part for n, part in enumerate(self.parts)}


def head(name: str, part: str) -> str:
    """Return the column of a part of a metric, its unit still the suffix: `epoch_time_s`, `low`."""
    if not part:
        return name
    for suffix in ("_s", "_bytes"):
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix)}_{part}{suffix}"
    return f"{name}_{part}"


_ALL = (
    Metric("key", "Configuration", "text", "The workload and its variant, `arch/variant`"),
    Metric("arch", "Workload", "text", "What is trained"),
    Metric("variant", "Variant", "text", "What is changed, and its precision"),
    Metric("status", "Status", "text", "`ok`, or how the row failed"),
    Metric("message", "Message", "text", "Why the status is not `ok`"),
    Metric("epoch_time_s", "Epoch time", "duration",
           "Forecast of one epoch: steps × measured step, and every other part that was measured",
           better="lower", parts=INTERVAL),
    Metric("epoch_parts_s", "Parts of an epoch", "duration",
           "What the forecast of an epoch is the sum of", member="epoch_part_{}_s"),
    Metric("step_time_s", "Step time", "duration",
           "The median of single steps, with their 10th and 90th percentile", better="lower", parts=SPREAD),
    Metric("phases_s", "Phases of a step", "duration",
           "Mean seconds of a step in each phase; their sum is the mean step", member="phase_{}_s"),
    Metric("phases_clock", "Clock of the phases", "text",
           "Whether the host's clock or the device's told the phases"),
    Metric("not_ready_share", "Next batch not ready", "share",
           "Part of the steps whose next batch in order was not there when it was asked for",
           better="lower"),
    Metric("run_delay_s", "Run delay", "duration",
           "Mean time of a step that the trainer's thread could run and had no core (Linux)",
           better="lower"),
    Metric("exposed_wait_s", "Exposed wait", "duration",
           "Mean time of a step that the device idled for its batch", better="lower"),
    Metric("samples_per_sec", "Samples/s", "rate",
           "Samples that training takes a second, within an epoch's steps",
           said="samples per second", better="higher"),
    Metric("speedup", "Speed-up", "ratio",
           "The reference's epoch time ÷ this row's, with its 95 % interval: above 1 is faster",
           better="higher", parts=JUDGED),
    Metric("step_speedup", "Speed-up of the step", "ratio",
           "Likewise of the time of a sample, by steps alone", better="higher", parts=JUDGED),
    Metric("memory_ratio", "Memory ratio", "ratio",
           "Peak memory ÷ the reference's", better="lower"),
    Metric("peak_bytes", "Peak memory", "bytes",
           "What rows are compared by: the device's allocated peak where there is one, else the host's",
           better="lower"),
    Metric("peak_allocated_bytes", "Allocated device memory", "bytes",
           "The most that torch's allocator gave to tensors", better="lower"),
    Metric("peak_reserved_bytes", "Reserved device memory", "bytes",
           "The most that torch's allocator held from the device", better="lower"),
    Metric("peak_rss_bytes", "Host memory (RSS)", "bytes",
           "The most that the training process had resident (VmHWM)", better="lower"),
    Metric("memory", "Further memory", "bytes",
           "Peaks of the first steps, allocator retries, the device's total, the workers' PSS",
           said="peak memory", member="memory_{}"),
    Metric("gpu_util_share", "GPU utilisation", "share",
           "Part of the time in which at least one kernel ran (NVML); how full the device was it"
           " does not say"),
    Metric("telemetry", "Telemetry", "count",
           "What the device and the host told meanwhile", member="telemetry_{}"),
    Metric("mfu", "MFU", "share",
           "Model FLOP/s ÷ the device's published peak for this precision", better="higher"),
    Metric("gemm_ceiling_share", "Share of the matrix-product ceiling", "share",
           "Model FLOP/s ÷ the rate of a large matrix product measured in place", better="higher"),
    Metric("flops_per_sample", "FLOPs per sample", "count",
           "Floating-point operations of the model for one sample, forward and backward"),
    Metric("startup_s", "Starting", "duration",
           "What is paid once: starting workers, the first batch, the first step", member="startup_{}_s"),
    Metric("compile_break_even_epochs", "Epochs until compiling has paid", "count",
           "Epochs after which compiling with a cold cache has paid for itself", better="lower"),
    Metric("loader", "Loader", "duration",
           "Means of a batch in a loader worker: fetch, its CPU part, collate, hand-over",
           member="loader_{}"),
    Metric("loss", "Distance of losses", "ratio",
           "Largest distance to FP32's losses in units of FP32's first loss, and its tolerance",
           better="lower", member="loss_{}"),
    Metric("effective", "Read back from torch", "text",
           "Settings as torch tells them, never as they were asked for", member="effective_{}"),
    Metric("overhead_share", "Own cost", "share",
           "perfkit's own calls ÷ the step time", said="perfkit's own cost", better="lower"),
    Metric("generations", "Generations", "count",
           "Fresh processes that the row was measured in, one after another"),
    Metric("steps_measured", "Steps measured", "count", "Timed steps in all blocks of the row"),
    Metric("generation_epoch_time_s", "Epoch time by generation", "duration",
           "The forecast of each generation: what intervals are taken from", better="lower"),
    Metric("generation_speedup", "Speed-up by generation", "ratio",
           "Each generation's speed-up, within it", better="higher"),
    Metric("windows", "Windows", "duration",
           "Mean steps of a watched training, in windows of equal length", member="windows_{}_s"),
    Metric("generation_full_epoch_s", "Real epochs", "duration",
           "Epochs that were run whole beside the forecast, without periodic work", better="lower"),
    Metric("unavailable", "Not available", "text",
           "Which values are missing, each with the code of its reason"),
    Metric("notes", "Notes", "text",
           "What else to know of the row, each with a code of the list below"),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {one.name: one for one in _ALL}
"""By name, in the order of reading."""
