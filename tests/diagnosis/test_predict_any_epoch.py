"""What every prediction keeps to, whatever was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines import WORKERS, attributed, pipeline

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import Pipeline, epoch_s, pipeline_of, predict, step_s
from perfkit.stats import Interval

SECONDS = st.floats(0.0, 10.0)


@st.composite
def epochs(draw: st.DrawFn) -> Evidence:
    """Any epoch: parts, intervals, loader, workers and cores."""
    parts = {
        name: draw(SECONDS)
        for name in (
            "waiting", "transfer", "h2d", "sync", "contention", "periodic", "eval", "startup", "other",
        )
    }  # fmt: skip
    parts["compute"] = draw(st.floats(0.1, 10.0))
    removable = {}
    for name in draw(st.sets(st.sampled_from(sorted(parts.keys() - {"compute", "other"})))):
        low, value, high = sorted(parts[name] * draw(st.floats(0.0, 1.5)) for _ in range(3))
        removable[name] = Interval(value, low, high)
    fetch_s = draw(st.none() | st.floats(0.0, 0.5))
    share = draw(st.floats(0.0, 1.0))
    facts = {} if fetch_s is None else {"fetch_s": fetch_s, "fetch_cpu_s": share * fetch_s}
    config = replace(
        WORKERS,
        num_workers=draw(st.integers(0, 8)),
        num_threads=draw(st.integers(1, 4)),
        prefetch_factor=draw(st.integers(1, 4)),
    )
    return attributed(
        config,
        removable=removable,
        waits_s=tuple(draw(st.lists(st.floats(0.0, 1.0), max_size=5))),
        cores=draw(st.none() | st.integers(1, 16)),
        row={"loader": facts},
        **parts,
    )


@given(epochs())
def test_doing_nothing_predicts_one(made: Evidence) -> None:
    """Exactly, whatever was measured."""
    found = predict(made, [lambda pipeline: pipeline])
    assert found is not None
    assert found.speedup == Interval(1.0) and found.saves_s == Interval(0.0)
    assert made.attribution is not None
    assert epoch_s(pipeline(made)) == pytest.approx(made.attribution.epoch_s)


@given(epochs())
def test_the_step_is_the_measured_one(made: Evidence) -> None:
    """At every end of the intervals: what is not removable of a step stays in it."""
    assert made.attribution is not None and made.attribution.step_s is not None
    for end in ("value", "low", "high"):
        now = pipeline_of(made, end)
        assert now is not None
        assert step_s(now) == pytest.approx(made.attribution.step_s, abs=1e-12)


@given(epochs(), st.integers(1, 16))
def test_more_workers_are_never_slower(made: Evidence, more: int) -> None:
    """Where there are some: the cores' bound does not depend on how many share it."""
    now = pipeline(made)
    if now.workers:
        assert step_s(replace(now, workers=now.workers + more)) <= step_s(now) + 1e-12


@given(epochs(), st.integers(1, 16), st.integers(1, 64))
def test_the_loader_never_saves_more_than_was_waited(
    made: Evidence, workers: int, prefetch: int
) -> None:
    """More workers and a deeper queue save at most what is removable of waiting, at each end."""
    found = made.attribution
    assert found is not None
    parts = ["waiting"] if made.config.num_workers else ["waiting", "transfer"]
    removable = [found.removable_s.get(part, Interval(found.seconds[part])) for part in parts]

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, workers=pipeline.workers + workers, prefetch=prefetch)

    predicted = predict(made, [effect])
    assert predicted is not None
    saves = predicted.saves_s
    assert saves.value <= sum(i.value for i in removable) + 1e-9
    if saves.high is not None:
        assert saves.high <= sum(i.value if i.high is None else i.high for i in removable) + 1e-9
