"""Settings that slow a training and were read from inside it, as findings. Pure.

What each of them costs is not known before the script has run without it, so none has a share of the epoch,
and none is a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfkit.document import Finding, Severity
from perfkit.study.attached.read import Recorded

KIND = "setting"


@dataclass(frozen=True)
class Setting:
    """What is to be said of a setting besides what was seen of it."""

    severity: Severity
    try_next: str


SETTINGS = {
    "anomaly_mode": Setting(
        "high", "Take it away once the NaN is found: `torch.autograd.set_detect_anomaly(False)`."
    ),
    "deterministic": Setting(
        "moderate",
        "Where runs need not agree to the last bit: `torch.use_deterministic_algorithms(False)`.",
    ),
    "tf32_off": Setting(
        "moderate",
        "Where FP32's last bits do not matter: `torch.set_float32_matmul_precision('high')`.",
    ),
    "threads_over_cores": Setting(
        "low",
        "Give each process its part of the cores: `torch.set_num_threads(N)` in the script and a"
        " `num_workers` of the DataLoader within them, or `OMP_NUM_THREADS=N`.",
    ),
    "memory_grows": Setting(
        "moderate",
        "Keep no tensor that has a graph from step to step: `total += loss.item()`, or `loss.detach()`.",
    ),
    "denormals": Setting(
        "moderate", "Have them taken for zero: `torch.set_flush_denormal(True)` before training."
    ),
    "dense_embedding": Setting(
        "moderate",
        "Give gradients for the rows of the batch alone: `nn.Embedding(…, sparse=True)`, updated by"
        " `torch.optim.SparseAdam` or plain SGD.",
    ),
    "float64": Setting(
        "moderate",
        "Train in float32: `model.float()`, and inputs that come from numpy's float64 as `.float()`.",
    ),
    "no_unused_parameters": Setting(
        "low",
        "Leave it to its default: `DistributedDataParallel(model, find_unused_parameters=False)`.",
    ),
    "padding": Setting(
        "moderate",
        "Pad each batch to its own longest text in `collate_fn`, and put texts of like length together.",
    ),
    "stream_per_worker": Setting(
        "high",
        "Give each worker its part: `info = torch.utils.data.get_worker_info()`, then"
        " `itertools.islice(stream, info.id, None, info.num_workers)`.",
    ),
}
"""By the code of the fact that tells it. The lines are torch's own: its "Performance Tuning Guide", and its
notes on reproducibility, numerical accuracy and `IterableDataset`."""


def settings_of(recorded: Recorded) -> tuple[Finding, ...]:
    """Return the settings that a process was seen to train with, the gravest first."""
    facts = {str(fact.get("code")): _text(recorded, fact) for fact in recorded.told("fact")}
    found = [
        Finding(
            kind=KIND,
            stage=code,
            severity=setting.severity,
            share=None,
            message=f"{_sentence(facts[code])}.",
            try_next=setting.try_next,
            evidence=(f"read in the process that trains: {facts[code]}",),
        )
        for code, setting in SETTINGS.items()
        if facts.get(code)
    ]
    grave = ("high", "moderate", "low")
    return tuple(sorted(found, key=lambda finding: grave.index(finding.severity)))


def _text(recorded: Recorded, fact: Mapping[str, Any]) -> str:
    """What a fact says, with the line of the loader that it is about."""
    text, value = str(fact.get("text") or ""), fact.get("value")
    number = value.get("loader") if isinstance(value, dict) else None
    for told in recorded.told("loader"):
        if number is not None and told.get("loader") == number and told.get("where"):
            return f"{text} ({told['where']})"
    return text


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".")
