"""The rows of a bench: products, canonical keys, groups with the reference in each, FP32 twins."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from fake_engine import row
from hypothesis import given
from hypothesis import strategies as st
from own_settings import declared

from perfkit.config import RunConfig
from perfkit.engine.plan import MOST_PROCESSES
from perfkit.errors import UsageError
from perfkit.study.matrix import fp32_twin, groups, rows, swept
from perfkit.study.sizes import Machine, base_config

BASE = RunConfig(arch="convnext", num_workers=1)
BASELINE = replace(BASE, arch="baseline")
VALUES = st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True)


def keys(
    *texts: str, bases: tuple[RunConfig, ...] = (BASE,), sweeps: tuple[str, ...] = ()
) -> list[str]:
    return [found.key for found in rows(bases, texts, [swept(text) for text in sweeps])]


def test_rows_are_the_product_in_the_order_asked_for() -> None:
    """Workloads × variants × every sweep; the first is the reference."""
    found = keys(
        "fp32", "amp", bases=(BASE, BASELINE), sweeps=("num_workers=0,2", "batch_size=8,32")
    )
    expected = [
        f"{arch}/{precision}+batch_size={batch}+num_workers={workers}"
        for arch, precision, workers, batch in itertools.product(
            ("convnext", "baseline"), ("fp32", "amp"), (0, 2), (8, 32)
        )
    ]
    assert found == expected


def test_keys_are_canonical_whatever_the_order() -> None:
    """The precision comes first and is always named, the others by name."""
    assert keys("num_workers=4+bf16+channels_last") == ["convnext/bf16+channels_last+num_workers=4"]
    assert keys("num_workers=4") == ["convnext/fp32+num_workers=4"]


def test_the_same_row_twice_is_one_row() -> None:
    """Duplicates collapse, also those that are only written differently."""
    assert keys("fp32", "compile", "compile=default+fp32", "fp32") == [
        "convnext/fp32",
        "convnext/fp32+compile",
    ]


def test_what_the_base_has_already_is_not_in_the_key() -> None:
    """A variant that asks for the base setting is the reference itself."""
    assert keys("fp32", "num_workers=1") == ["convnext/fp32"]


def test_a_row_overrides_the_base() -> None:
    """The plain flag holds for rows that do not say otherwise."""
    reference, own = rows([BASE], ["fp32", "num_workers=3"])
    assert (reference.config.num_workers, own.config.num_workers) == (1, 3)
    assert own.config == replace(BASE, num_workers=3, variants=own.config.variants)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "unknown variant"),
        ("bf16+amp", "one at a time"),
        ("num_workers=-1", "at least 0"),
        ("batch_size", "needs a value"),
        ("amp=3", "takes no value"),
        ("prefetch_factor=0", "at least 1"),
    ],
)
def test_what_cannot_be_had_is_refused(text: str, message: str) -> None:
    """Unknown names, two precisions and bad values are usage errors that name the matter."""
    with pytest.raises(UsageError, match=message):
        rows([BASE], ["fp32", text])


@pytest.mark.parametrize("text", ["num_workers", "num_workers=", "num_workers=1,,2", "amp=1"])
def test_a_sweep_names_a_variant_and_its_values(text: str) -> None:
    """A sweep without values, over what takes none, or over nothing there is, is refused."""
    with pytest.raises(UsageError):
        swept(text)


@given(VALUES, VALUES)
def test_keys_are_unique_and_say_what_differs(workers: list[int], batches: list[int]) -> None:
    """Whatever is swept, no two rows share a key, and equal keys mean equal settings."""
    sweeps = [
        [f"num_workers={n}" for n in workers],
        [f"batch_size={8 * (n + 1)}" for n in batches],
    ]
    found = rows([BASE], ["fp32", "amp"], sweeps)
    assert len({r.key for r in found}) == len({r.config for r in found}) == len(found)
    assert len(found) == 2 * len(workers) * len(batches)


@given(st.integers(1, 40))
def test_groups_hold_every_row_once_and_the_reference_each_time(count: int) -> None:
    """At most four rows in a group, the reference first, sizes that differ by at most one."""
    planned = [row(f"convnext/fp32+batch_size={n + 1}") for n in range(count)]
    found = groups(planned)
    assert all(group[0] == planned[0] for group in found)
    assert [r for group in found for r in group[1:]] == planned[1:]
    sizes = [len(group) for group in found]
    assert max(sizes) <= MOST_PROCESSES
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == max(1, -(-(count - 1) // (MOST_PROCESSES - 1)))


def test_losses_are_held_against_the_same_network_in_fp32() -> None:
    """The twin trains the same weights on the same batches; loaders may differ, batches may not."""
    planned = rows([BASE, BASELINE], ["fp32", "amp+num_workers=4", "amp+batch_size=8", "tf32"])
    twin = {r.key: (t.key if (t := fp32_twin(r, planned)) else None) for r in planned}
    assert twin == {
        "convnext/fp32": "convnext/fp32",
        "convnext/amp+num_workers=4": "convnext/fp32",
        "convnext/amp+batch_size=8": None,
        "convnext/tf32": "convnext/fp32",
        "baseline/fp32": "baseline/fp32",
        "baseline/amp+num_workers=4": "baseline/fp32",
        "baseline/amp+batch_size=8": None,
        "baseline/tf32": "baseline/fp32",
    }


def test_a_changed_program_is_no_twin() -> None:
    """An FP32 row that is compiled or laid out otherwise is held against plain FP32, not the reverse."""
    planned = rows([BASE], ["fp32+compile", "amp", "fp32"])
    assert all((t := fp32_twin(r, planned)) and t.key == "convnext/fp32" for r in planned)
    assert fp32_twin(planned[1], planned[:2]) is None


OWN = RunConfig(arch="mine.py:factory", workload={"width": 64, "rate": 0.5, "bias": True})


def test_a_workloads_own_settings_are_variants_and_sweeps() -> None:
    """Without a file of theirs; the base's value is no row of its own, and text has one form."""
    found = keys("fp32", "amp", bases=(OWN,), sweeps=("width=064,8", "bias=1,0"))
    assert found == [
        f"mine.py:factory/{precision}{own}"
        for precision in ("fp32", "amp")
        for own in ("", "+bias=0", "+width=8", "+bias=0+width=8")
    ]
    (row,) = rows([OWN], ["rate=1e-3+num_workers=2"])
    assert row.key == "mine.py:factory/fp32+num_workers=2+rate=0.001"
    assert row.config.workload == {"width": 64, "rate": 0.001, "bias": True}
    assert rows([OWN], [row.variant]) == (row,)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("widht=8", "mine.py:factory has no setting widht", "did you mean width?"),
        ("num_worker=8", "mine.py:factory has no setting num_worker", "did you mean num_workers?"),
        (
            "base_channels=8",
            "mine.py:factory has no setting base_channels",
            "it has bias, rate, width",
        ),
        ("width", "unknown variant 'width'", None),
        ("width=", "width needs a value", None),
        ("width=wide", "width=wide: the value should be a whole number", None),
        ("bias=yes", "bias=yes: the value should be 0 or 1", None),
    ],
)
def test_a_setting_that_a_workload_does_not_have_is_refused(
    text: str, message: str, hint: str | None
) -> None:
    """By the nearest name among its settings and the variants."""
    with pytest.raises(UsageError) as caught:
        rows([OWN], [text])
    assert caught.value.message == message
    assert hint is None or caught.value.hint == hint


def test_a_setting_must_be_known_to_every_workload_of_its_rows() -> None:
    """With two workloads in one bench, the one that lacks it is named."""
    with pytest.raises(UsageError, match=r"^convnext has no setting width$"):
        rows([OWN, replace(BASE, workload={"num_blocks": 4})], ["fp32"], [swept("width=8,16")])


def test_another_network_is_no_twin() -> None:
    """What a workload's own settings change is not known; accumulated batches have the same losses."""
    planned = rows([OWN], ["fp32", "amp+width=8", "amp+accumulate=2"])
    assert fp32_twin(planned[1], planned) is None
    assert fp32_twin(planned[2], planned) == planned[0]


def test_what_is_done_between_epochs_makes_no_other_training() -> None:
    """The losses of a row that plots less often, or evaluates on fewer images, are those of any other."""
    base = base_config(Machine(device="cpu", cores=2), "convnext", declared()["convnext"])
    planned = rows([base], ["fp32", "amp+metrics_every=0+viz_every=7+eval_samples=8"])
    assert fp32_twin(planned[1], planned) == planned[0]
    planned = rows([base], ["fp32", "amp+data=memory"])
    assert fp32_twin(planned[1], planned) is None
