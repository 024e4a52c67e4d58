"""The grammar of variants: one canonical text, whatever the order it was written in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.variants import STAGES, Pairs, Variant
from perfkit.variants.compile import MODES

BASE = RunConfig(arch="x")
VALUES: dict[str | None, st.SearchStrategy[str | None]] = {
    None: st.none(),
    "N": st.tuples(st.sampled_from(["", "0", "00"]), st.integers(1, 4096)).map(
        lambda parts: f"{parts[0]}{parts[1]}"
    ),
    "0|1": st.sampled_from(["0", "1"]),
    "[MODE]": st.none() | st.sampled_from(MODES),
}
"""By how a variant writes its value, values that it takes."""
KNOWN = [variant for variant in variants.known() if variant.value in VALUES]
PRECISIONS = [variant for variant in KNOWN if variant.stage == "precision"]
OTHERS = [variant for variant in KNOWN if variant.stage != "precision"]


@st.composite
def written(draw: st.DrawFn) -> list[str]:
    """The parts of a valid text, in any order."""
    chosen: list[Variant] = draw(st.lists(st.sampled_from(OTHERS), unique_by=lambda v: v.name))
    precision = draw(st.none() | st.sampled_from(PRECISIONS))
    if precision is not None or not chosen:
        chosen.append(precision or PRECISIONS[0])
    values = [(variant.name, draw(VALUES[variant.value])) for variant in chosen]
    return [name if value is None else f"{name}={value}" for name, value in values]


@given(written(), st.randoms())
def test_canonical_whatever_the_order(parts: list[str], random: Any) -> None:
    """Two ways of writing the same give the same pairs, and so the same row."""
    pairs = variants.parse("+".join(parts))
    random.shuffle(parts)
    assert variants.parse(" + ".join(parts)) == pairs


@given(written())
def test_text_and_pairs_are_inverse(parts: list[str]) -> None:
    """The canonical text is read as what it was written from; every name is there once."""
    pairs = variants.parse("+".join(parts))
    assert variants.parse(variants.text(pairs)) == pairs
    assert variants.canonical(pairs) == pairs
    first, *rest = [name for name, _ in pairs]
    named = {part.partition("=")[0] for part in parts}
    assert {first, *rest} == named | {first}
    assert first in named or first == "fp32"
    assert rest == sorted(rest)


@given(written())
def test_applied_by_stage_whatever_the_names(parts: list[str]) -> None:
    """Settings first, compile last."""
    order = variants.in_order(variants.parse("+".join(parts)))
    stages = [STAGES.index(variants.get(name).stage) for name, _ in order]
    assert stages == sorted(stages)


@given(written())
def test_what_changes_nothing_is_not_named(parts: list[str]) -> None:
    """A row names the settings that differ from the base; its name alone gives the same row again."""
    pairs = variants.parse("+".join(parts))
    config = variants.configure(BASE, pairs)
    assert variants.configure(BASE, config.variants) == config
    dropped = set(pairs) - set(config.variants)
    assert {variants.get(name).stage for name, _ in dropped} <= {"settings"}
    assert set(config.variants) <= set(pairs)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("amp", (("amp", None),)),
        ("num_workers=4", (("fp32", None), ("num_workers", "4"))),
        (
            "num_workers=04+compile=max-autotune+bf16",
            (("bf16", None), ("compile", "max-autotune"), ("num_workers", "4")),
        ),
        ("amp+compile=default", (("amp", None), ("compile", None))),
    ],
)
def test_by_hand(text: str, pairs: Pairs) -> None:
    """The precision first, FP32 when none is named; values in their plain form."""
    assert variants.parse(text) == pairs


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "names no variant between its + signs", None),
        ("amp+", "names no variant between its + signs", None),
        ("=4", "names no variant between its + signs", None),
        ("chanels_last", "unknown variant 'chanels_last'", "did you mean channels_last?"),
        ("amp=1", "amp takes no value", None),
        ("num_workers", "num_workers needs a value", "write num_workers=N"),
        ("num_workers=", "num_workers needs a value", "write num_workers=N"),
        ("num_workers=-1", "whole number of at least 0", "for example num_workers=4"),
        ("num_workers=1.5", "whole number of at least 0", None),
        ("num_workers=٣", "whole number of at least 0", None),
        ("batch_size=0", "whole number of at least 1", None),
        ("pin_memory=yes", "the value should be 0 or 1", None),
        ("compile=fastest", "the value should be one of default", None),
        ("compile=", "the value should be one of default", None),
        ("amp+bf16", "amp and bf16 are both precisions", "ask for two rows"),
        ("num_workers=1+num_workers=2", "names num_workers twice", None),
        ("amp+amp", "names amp twice", None),
    ],
)
def test_what_is_no_variant(text: str, message: str, hint: str | None) -> None:
    """Each mistake has its own message, and a hint where there is something to try."""
    with pytest.raises(UsageError) as caught:
        variants.parse(text)
    assert message in caught.value.message
    if hint is not None:
        assert caught.value.hint == hint


def test_settings_are_changed() -> None:
    """A row's variants change the base, and name only what differs from it."""
    pairs = variants.parse("num_workers=3+batch_size=16+channels_last")
    config = variants.configure(BASE, pairs)
    assert (config.num_workers, config.batch_size) == (3, 16)
    assert variants.text(config.variants) == "fp32+channels_last+num_workers=3"
