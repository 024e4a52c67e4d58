"""Attributed evidence made by hand, and what the judge said of it: an epoch of 100 steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evidences import CONFIG, evidence

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Attribution, Evidence, Stretch
from perfkit.diagnosis.predict import Pipeline, pipeline_of
from perfkit.document import Verdict
from perfkit.stats import Interval

STEPS = 100
WORKERS = replace(CONFIG, num_samples=STEPS * CONFIG.batch_size)
"""One worker, 100 whole batches."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What remedies read of a Judgement."""

    primary: str = "compute_bound"
    verdicts: tuple[Verdict, ...] = ()
    workers_needed: int | None = None


def judged(primary: str, stage: str | None = None, workers_needed: int | None = None) -> Any:
    """A judgement with one verdict."""
    verdict = Verdict(
        kind=primary, severity="high", share=Interval(0.5), seconds_per_epoch=1.0, stage=stage
    )
    return Judged(primary=primary, verdicts=(verdict,), workers_needed=workers_needed)


def attributed(
    config: RunConfig = WORKERS,
    *,
    removable: Mapping[str, Interval] | None = None,
    waits_s: tuple[float, ...] = (),
    tasks: Mapping[str, float] | None = None,
    environment: Mapping[str, Any] | None = None,
    cores: int | None = 8,
    row: Mapping[str, Any] | None = None,
    **seconds: float,
) -> Evidence:
    """Evidence of an epoch with these seconds by part; `tasks` are periodic ones by name.

    Args:
        removable: intervals; what is not named has none.
        waits_s: of the steps of one real stretch.
        row: other fields of the row.
    """
    tasks = tasks or {}
    if tasks:
        seconds["periodic"] = sum(tasks.values())
    steps_s = sum(
        s for n, s in seconds.items() if n not in ("periodic", "eval", "startup", "other")
    )
    parts = {"steps": steps_s, "epoch_start": seconds.get("startup", 0.0)}
    parts |= {"evaluation": seconds.get("eval", 0.0), **tasks}
    fields = {"epoch_parts_s": parts, "phases_s": {"forward": 0.04, "backward": 0.06}}
    made = evidence(config, cores, **{**fields, **(row or {})})
    stretch = Stretch(
        arm="real", palindrome=0, wall_s=1.0, step_s=(0.1,) * len(waits_s), wait_s=waits_s
    )
    return replace(
        made,
        stretches=(stretch,) if waits_s else (),
        environment={**made.environment, **(environment or {})},
        attribution=Attribution(
            epoch_s=sum(seconds.values()),
            seconds=seconds,
            removable_s=removable or {},
            steps=STEPS,
            step_s=steps_s / STEPS,
        ),
    )


def pipeline(made: Evidence) -> Pipeline:
    """The pipeline of evidence that has one."""
    found = pipeline_of(made)
    assert found is not None
    return found
