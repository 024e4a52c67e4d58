"""Hypothesis strategies for what is stored: Documents with everything that a row may hold."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from perfkit.config import RunConfig
from perfkit.document import (
    Basis,
    Clock,
    Diagnosis,
    Document,
    Finding,
    NaiveReading,
    Note,
    Operator,
    Remedy,
    Row,
    Severity,
    Speedup,
    Spread,
    Status,
    Verdict,
)
from perfkit.stats import Interval, Outcome

floats = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(names, json_values, max_size=3)
notes = st.builds(Note, code=names, text=st.text())


def _numbers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=3)


@st.composite
def bounds(draw: st.DrawFn) -> tuple[float | None, float | None]:
    """Both bounds of an interval, or none."""
    if draw(st.booleans()):
        return None, None
    low, high = sorted((draw(floats), draw(floats)))
    return low, high


intervals = st.builds(lambda value, both: Interval(value, *both), floats, bounds())
speedups = st.builds(
    lambda value, both, outcome: Speedup(value=value, low=both[0], high=both[1], outcome=outcome),
    floats,
    bounds(),
    st.sampled_from(get_args(Outcome)),
)
_optional: dict[str, st.SearchStrategy[Any]] = {
    "message": st.none() | st.text(),
    "epoch_time_s": st.none() | intervals,
    "epoch_parts_s": _numbers(floats),
    "step_time_s": st.none() | st.builds(Spread, median=floats, p10=floats, p90=floats),
    "phases_s": _numbers(floats),
    "phases_clock": st.none() | st.sampled_from(get_args(Clock)),
    "not_ready_share": st.none() | floats,
    "run_delay_s": st.none() | floats,
    "startup_s": _numbers(floats),
    "samples_per_sec": st.none() | floats,
    "speedup": st.none() | speedups,
    "step_speedup": st.none() | speedups,
    "peak_rss_bytes": st.none() | st.integers(0, 2**50),
    "memory": _numbers(st.none() | st.integers(0, 2**50)),
    "telemetry": _numbers(st.none() | floats),
    "effective": _numbers(st.text()),
    "generations": st.integers(0, 99),
    "generation_speedup": st.lists(floats, max_size=4).map(tuple),
    "notes": st.lists(notes, max_size=2).map(tuple),
    "unavailable": _numbers(st.text()),
}
rows = st.builds(
    Row,
    key=st.text(),
    arch=names,
    variant=names,
    status=st.sampled_from(get_args(Status)),
    **_optional,
)
findings = st.builds(
    Finding,
    kind=names,
    severity=st.sampled_from(get_args(Severity)),
    share=floats,
    message=st.text(),
    try_next=st.text(),
)
_shares = st.floats(0, 1)
_texts = st.lists(st.text(), max_size=2).map(tuple)
_verdicts = st.builds(
    Verdict,
    kind=names | st.sampled_from(["input_bound", "contended", "periodic_bound"]),
    severity=st.sampled_from(get_args(Severity)),
    share=intervals,
    seconds_per_epoch=floats,
    stage=st.none() | names,
    where=st.none() | names,
    flags=_texts,
    removable_s=st.none() | intervals,
    evidence=_texts,
)
_remedies = st.builds(
    Remedy,
    name=names,
    basis=st.sampled_from(get_args(Basis)),
    variant=st.none() | names,
    why=st.text(),
    risk=st.text(),
    command=st.none() | st.text(),
    predicted_speedup=st.none() | intervals,
    saves_s=st.none() | intervals,
    measured_speedup=st.none() | intervals,
    snippet=st.text(),
    changes_training=st.booleans(),
    answers=st.lists(names).map(tuple),
)
_operators = st.builds(Operator, name=names, share=_shares, where=st.none() | names)
_readings = st.builds(
    NaiveReading,
    gpu_util_share=_shares,
    blames=st.sampled_from(["loader", "model", None]),
    is_right=st.booleans(),
    why=st.text(),
)
_parts = st.sampled_from(["waiting", "compute", "periodic", "other"])
diagnoses = st.builds(
    lambda among, verdicts, **values: Diagnosis(
        primary=verdicts[0].kind if among and verdicts else "inconclusive",
        verdicts=verdicts,
        **values,
    ),
    among=st.booleans(),
    verdicts=st.lists(_verdicts, max_size=2).map(tuple),
    breakdown_s=st.dictionaries(names | _parts, floats, max_size=4),
    differential_s=st.dictionaries(names, intervals, max_size=2),
    actual_samples_per_sec=st.none() | floats,
    workers_needed=st.none() | st.integers(0, 99),
    operators=st.lists(_operators, max_size=2).map(tuple),
    remedies=st.lists(_remedies, max_size=2).map(tuple),
    naive_nvidia_smi=st.none() | _readings,
    inconclusive_because=st.none() | st.text(),
    unavailable=_numbers(st.text()),
)
documents = st.builds(
    Document,
    kind=names,
    command=st.text(),
    created=names,
    environment=json_objects,
    base=json_objects,
    rows=st.lists(rows, max_size=3, unique_by=lambda row: row.key).map(tuple),
    diagnosis=st.none() | diagnoses,
    findings=st.lists(findings, max_size=2).map(tuple),
    method=json_objects,
    warnings=st.lists(notes, max_size=2).map(tuple),
    unavailable=_numbers(st.text()),
    complete=st.booleans(),
)

_counts = st.integers(1, 2**31)
_from_zero = st.integers(0, 2**31)
configs = st.builds(
    RunConfig,
    arch=names,
    variants=st.lists(st.tuples(names, st.none() | names), max_size=3).map(tuple),
    devices=st.lists(names, min_size=1, max_size=3).map(tuple),
    parallel=st.sampled_from(["none", "dp", "ddp"]),
    **dict.fromkeys(("batch_size", "lr_batch_size", "num_samples", "accumulate"), _counts),
    prefetch_factor=_counts,
    **dict.fromkeys(("epochs", "num_threads"), _counts),
    **dict.fromkeys(("num_workers", "seed"), _from_zero),
    **dict.fromkeys(("pin_memory", "persistent_workers"), st.booleans()),
    learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    cache_dir=st.text(),
    workload=st.dictionaries(names, st.booleans() | st.integers() | floats | st.text(), max_size=3),
    workload_chosen=st.lists(names, max_size=2).map(tuple),
    workload_untrained=st.lists(names, max_size=2).map(tuple),
)
