"""Which remedies are run, which of them together, for how long, and what they are held against."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_engine import row
from pipelines import WORKERS, attributed, judged

from perfkit.diagnosis.remedies import combination, members, proposals
from perfkit.document import Basis, Remedy, Row, Speedup
from perfkit.stats import Interval
from perfkit.study.diagnose import verify
from perfkit.study.diagnose.begin import budgets
from perfkit.study.diagnose.verify import Verification


def remedy(
    name: str,
    variant: str | None,
    low: float = 1.0,
    basis: Basis = "arithmetic",
    changes_training: bool = False,
) -> Remedy:
    """One that saves `low` seconds at least."""
    return Remedy(
        name=name,
        variant=variant,
        basis=basis,
        saves_s=Interval(low + 1, low, low + 2),
        changes_training=changes_training,
    )


MORE = remedy("num_workers", "num_workers=4", 5.0)
KEEP = remedy("persistent_workers", "persistent_workers=1", 2.0)
CODE = remedy("cache_decoded", None, 4.0)
FEWER = remedy("fewer_workers", "num_workers=1", 1.5)
LAST = remedy("channels_last", "channels_last", 0.0, "bound")
BF16 = remedy("bf16", "bf16", 3.0, "trialled", changes_training=True)
AMP = remedy("amp", "amp", 2.5, "trialled", changes_training=True)


def test_the_best_that_can_be_run() -> None:
    """As ranked, without those that take a change of the code; others' trainings come last."""
    ranked = (MORE, CODE, KEEP, LAST, BF16)
    assert verify.chosen(ranked, 1) == (MORE,)
    assert verify.chosen(ranked, 3) == (MORE, KEEP, LAST)
    assert verify.chosen(ranked, 9) == (MORE, KEEP, LAST, BF16)
    assert verify.chosen((CODE,), 3) == ()


def test_what_goes_together() -> None:
    """What is predicted to save; of two numbers of workers, or two precisions, the first."""
    assert members((MORE, KEEP, LAST)) == ("num_workers", "persistent_workers")
    assert members((MORE, FEWER)) == ()
    assert members((MORE, FEWER, BF16, AMP)) == ("num_workers", "bf16")
    assert members((MORE, LAST, CODE)) == ()
    none, deeper = (
        remedy("fewer_workers", "num_workers=0", 4.0),
        remedy("deep", "prefetch_factor=8"),
    )
    assert members((none, KEEP, deeper)) == members((deeper, none)) == ()
    assert members((none, KEEP, BF16)) == ("fewer_workers", "bf16")
    assert members((deeper, KEEP, none)) == ("deep", "persistent_workers")
    assert members((MORE, remedy("eval_every", "metrics_every=2", 0.0))) == ()


def test_a_combination_saves_what_the_model_says() -> None:
    """Waiting, and the start of an epoch but for its first batch: 7.415 of 10 s, in one variant."""
    config = replace(WORKERS, persistent_workers=False)
    sleeps = {"loader": {"fetch_s": 0.1, "fetch_cpu_s": 0.0, "collate_s": 0.0}}
    made = attributed(config, waiting=6.0, compute=2.5, startup=1.5, row=sleeps)
    found = proposals(made, judged("input_bound", "storage", 8))
    names = ("num_workers", "persistent_workers")
    both = combination(made, names, found)
    assert both is not None and both.saves_s is not None and both.predicted_speedup is not None
    assert both.name == "combination" and both.basis == "arithmetic"
    assert both.variant == "num_workers=8+persistent_workers=1"
    assert both.saves_s.value == pytest.approx(6.0 + 1.5 - 0.085)
    assert both.predicted_speedup.value == pytest.approx(10 / 2.585)
    assert not both.changes_training
    assert both.command is not None
    assert "--variant fp32+malloc=default+num_workers=8+persistent_workers=1" in both.command


@pytest.mark.parametrize(
    ("most", "asked_s", "in_all_s", "verify_s"),
    [
        (0, None, 60.0, 0.0),
        (0, 100.0, 100.0, 0.0),
        (1, None, 180.0, 120.0),
        (2, None, 300.0, 240.0),
        (3, None, 360.0, 300.0),
        (3, 40.0, 40.0, 0.0),
        (3, 200.0, 200.0, 140.0),
        (3, 720.0, 720.0, 600.0),
    ],
)
def test_time(most: int, asked_s: float | None, in_all_s: float, verify_s: float) -> None:
    """Verifying comes on top of a minute; of what is asked for the diagnosis has its own first."""
    assert budgets(most, asked_s) == (in_all_s, verify_s)


def shown(key: str, value: float, **changes: object) -> Row:
    """A row of a bench with that speed-up."""
    arch, _, variant = key.partition("/")
    speedup = Speedup(value=value, low=value - 0.1, high=value + 0.1, outcome="faster")
    made = Row(key=key, arch=arch, variant=variant, status="ok", speedup=speedup)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_measured_beside_predicted() -> None:
    """What was measured whatever was predicted; null for what failed, was not forecast, or did not run."""
    keys = ("fp32+num_workers=4", "fp32+persistent_workers=1", "fp32+channels_last", "bf16")
    names = ("num_workers", "persistent_workers", "channels_last", "bf16")
    planned = {n: row(f"convnext/{key}") for n, key in zip(names, keys, strict=True)}
    rows = (
        shown("convnext/fp32+num_workers=4", 0.8),
        shown("convnext/fp32+persistent_workers=1", 1.3, status="oom"),
        shown("convnext/fp32+channels_last", 1.3, speedup=None),
    )
    came = verify.measured(Verification(rows=planned), rows)
    assert list(came) == ["num_workers"]
    told = verify.beside((MORE, KEEP, LAST, BF16, CODE), came)
    assert told[0] == replace(MORE, measured_speedup=Interval(0.8, 0.7000000000000001, 0.9))
    assert told[1:] == (KEEP, LAST, BF16, CODE)


def test_epochs_of_the_bench_that_ran_the_remedies() -> None:
    """A prediction of 2.0 from this bench's own 30 s, whatever the diagnosis took; nothing of what failed."""
    names = {"num_workers": "fp32+num_workers=4", "persistent_workers": "fp32+persistent_workers=1"}
    planned = Verification(rows={n: row(f"convnext/{key}") for n, key in names.items()})
    now = shown("convnext/fp32", 1.0, epoch_time_s=Interval(30.0))
    came = shown("convnext/fp32+num_workers=4", 1.8, epoch_time_s=Interval(16.5))
    failed = shown("convnext/fp32+persistent_workers=1", 1.0, status="oom")
    two = Interval(2.0, 1.9, 2.1)
    told = [replace(one, predicted_speedup=two) for one in (MORE, KEEP, BF16)]
    found = verify.epochs(planned, told, (now, came, failed))
    assert found.now_s == 30.0
    assert found.remedies == {
        "num_workers": {
            "predicted_epoch_s": 15.0,
            "measured_epoch_s": 16.5,
            "predicted_to_measured_ratio": 0.9,
        }
    }
    assert verify.epochs(planned, (MORE,), (now, came, failed)).remedies == {}
    gone = replace(now, status="killed", epoch_time_s=None)
    assert verify.epochs(planned, told, (gone, came)) == verify.Epochs()
