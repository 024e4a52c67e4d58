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


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One thing that is known of a row."""

    name: str
    """The field of `Row`, or what the field's values are chosen for (`peak_bytes`)."""
    title: str
    """At the head of a column or of a plot."""
    description: str
    """One sentence for the glossary, without a full stop."""
    kind: Kind
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
    Metric(
        name="key", title="Configuration", kind="text",
        description="The workload and its variant, `arch/variant`",
    ),
    Metric(name="arch", title="Workload", kind="text", description="What is trained"),
    Metric(name="variant", title="Variant", kind="text", description="What is changed, and its precision"),
    Metric(name="status", title="Status", kind="text", description="`ok`, or how the row failed"),
    Metric(name="message", title="Message", kind="text", description="Why the status is not `ok`"),
    Metric(
        name="epoch_time_s", title="Epoch time", kind="duration", better="lower", parts=INTERVAL,
        description="Forecast of one epoch: steps × measured step, and every other part that was measured",
    ),
    Metric(
        name="epoch_parts_s", title="Parts of an epoch", kind="duration", member="epoch_part_{}_s",
        description="What the forecast of an epoch is the sum of",
    ),
    Metric(
        name="step_time_s", title="Step time", kind="duration", better="lower", parts=SPREAD,
        description="The median of single steps, with their 10th and 90th percentile",
    ),
    Metric(
        name="phases_s", title="Phases of a step", kind="duration", member="phase_{}_s",
        description="Mean seconds of a step in each phase; their sum is the mean step",
    ),
    Metric(
        name="phases_clock", title="Clock of the phases", kind="text",
        description="Whether the host's clock or the device's told the phases",
    ),
    Metric(
        name="not_ready_share", title="Next batch not ready", kind="share", better="lower",
        description="Part of the steps whose next batch in order was not there when it was asked for",
    ),
    Metric(
        name="run_delay_s", title="Run delay", kind="duration", better="lower",
        description="Mean time of a step that the trainer's thread could run and had no core (Linux)",
    ),
    Metric(
        name="exposed_wait_s", title="Exposed wait", kind="duration", better="lower",
        description="Mean time of a step that the device idled for its batch",
    ),
    Metric(
        name="samples_per_sec", title="Samples/s", said="samples per second", kind="rate",
        better="higher", description="Samples that training takes a second, within an epoch's steps",
    ),
    Metric(
        name="speedup", title="Speed-up", kind="ratio", better="higher", parts=JUDGED,
        description="The reference's epoch time ÷ this row's, with its 95 % interval: above 1 is faster",
    ),
    Metric(
        name="step_speedup", title="Speed-up of the step", kind="ratio", better="higher", parts=JUDGED,
        description="Likewise of the time of a sample, by steps alone",
    ),
    Metric(
        name="memory_ratio", title="Memory ratio", kind="ratio", better="lower",
        description="Peak memory ÷ the reference's",
    ),
    Metric(
        name="peak_bytes", title="Peak memory", kind="bytes", better="lower",
        description="What rows are compared by: the device's allocated peak where there is one, else the"
        " host's",
    ),
    Metric(
        name="peak_allocated_bytes", title="Allocated device memory", kind="bytes", better="lower",
        description="The most that torch's allocator gave to tensors",
    ),
    Metric(
        name="peak_reserved_bytes", title="Reserved device memory", kind="bytes", better="lower",
        description="The most that torch's allocator held from the device",
    ),
    Metric(
        name="peak_rss_bytes", title="Host memory (RSS)", kind="bytes", better="lower",
        description="The most that the training process had resident (VmHWM)",
    ),
    Metric(
        name="memory", title="Further memory", said="peak memory", kind="bytes", member="memory_{}",
        description="Peaks of the first steps, allocator retries, the device's total, the workers' PSS",
    ),
    Metric(
        name="gpu_util_share", title="GPU utilisation", kind="share",
        description="Part of the time in which at least one kernel ran (NVML); how full the device was it"
        " does not say",
    ),
    Metric(
        name="telemetry", title="Telemetry", kind="count", member="telemetry_{}",
        description="What the device and the host told meanwhile",
    ),
    Metric(
        name="mfu", title="MFU", kind="share", better="higher",
        description="Model FLOP/s ÷ the device's published peak for this precision",
    ),
    Metric(
        name="gemm_ceiling_share", title="Share of the matrix-product ceiling", kind="share",
        better="higher",
        description="Model FLOP/s ÷ the rate of a large matrix product measured in place",
    ),
    Metric(
        name="flops_per_sample", title="FLOPs per sample", kind="count",
        description="Floating-point operations of the model for one sample, forward and backward",
    ),
    Metric(
        name="startup_s", title="Starting", kind="duration", member="startup_{}_s",
        description="What is paid once: starting workers, the first batch, the first step",
    ),
    Metric(
        name="compile_break_even_epochs", title="Epochs until compiling has paid", kind="count",
        better="lower", description="Epochs after which compiling with a cold cache has paid for itself",
    ),
    Metric(
        name="loader", title="Loader", kind="duration", member="loader_{}",
        description="Means of a batch in a loader worker: fetch, its CPU part, collate, hand-over",
    ),
    Metric(
        name="loss", title="Distance of losses", kind="ratio", better="lower", member="loss_{}",
        description="Largest distance to FP32's losses in units of FP32's first loss, and its tolerance",
    ),
    Metric(
        name="effective", title="Read back from torch", kind="text", member="effective_{}",
        description="Settings as torch tells them, never as they were asked for",
    ),
    Metric(
        name="overhead_share", title="Own cost", said="perfkit's own cost", kind="share",
        better="lower", description="perfkit's own calls ÷ the step time",
    ),
    Metric(
        name="generations", title="Generations", kind="count",
        description="Fresh processes that the row was measured in, one after another",
    ),
    Metric(
        name="steps_measured", title="Steps measured", kind="count",
        description="Timed steps in all blocks of the row",
    ),
    Metric(
        name="generation_epoch_time_s", title="Epoch time by generation", kind="duration", better="lower",
        description="The forecast of each generation: what intervals are taken from",
    ),
    Metric(
        name="generation_speedup", title="Speed-up by generation", kind="ratio", better="higher",
        description="Each generation's speed-up, within it",
    ),
    Metric(
        name="windows", title="Windows", kind="duration", member="windows_{}_s",
        description="Mean steps of a watched training, in windows of equal length",
    ),
    Metric(
        name="generation_full_epoch_s", title="Real epochs", kind="duration", better="lower",
        description="Epochs that were run whole beside the forecast, without periodic work",
    ),
    Metric(
        name="unavailable", title="Not available", kind="text",
        description="Which values are missing, each with the code of its reason",
    ),
    Metric(
        name="notes", title="Notes", kind="text",
        description="What else to know of the row, each with a code of the list below",
    ),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {one.name: one for one in _ALL}
"""By name, in the order of reading."""
