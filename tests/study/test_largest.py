"""The search for the largest batch, on a machine that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import UsageError
from perfkit.study.largest import FLOOR, HEADROOM_SHARE, PRECISE_RATIO, largest_batch


@given(st.integers(1, 64), st.integers(0, 5000), st.integers(64, 4096))
def test_it_is_within_five_per_cent_of_the_truth(start: int, room: int, most: int) -> None:
    """What is chosen trains, and 5 % more (or one more, where that is more) would not."""
    truth = start + room
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= truth

    found = largest_batch(fits, lambda size: size <= truth, start=start, most=most)
    assert found.batch_size <= truth
    assert found.trials == len(tried) + 1
    assert len(tried) == len(set(tried))
    assert max(tried) <= max(most, start)
    if found.too_large is None:
        assert found.batch_size == max(most, start)
    else:
        assert found.fit <= truth < found.too_large
        assert found.too_large <= max(found.fit * PRECISE_RATIO, found.fit + 1)
        assert truth < max(found.batch_size * 1.05 + 1, found.batch_size + 2)


def test_the_sentence_states_the_margin() -> None:
    """Both sizes between which the truth lies, and what was left free."""
    found = largest_batch(lambda size: size <= 1000, lambda size: True, start=16, most=4096)
    assert found.batch_size == int(found.fit * (1 - HEADROOM_SHARE))
    for number in (found.batch_size, found.fit, found.too_large):
        assert str(number) in found.sentence()
    everything = largest_batch(lambda size: True, lambda size: True, start=16, most=64)
    assert "all the samples" in everything.sentence()
    assert everything.batch_size == 64


def test_it_goes_down_until_a_rehearsal_fits() -> None:
    """What a few steps fit into, a whole generation may not."""
    found = largest_batch(lambda size: size <= 1000, lambda size: size <= 950, start=16, most=4096)
    assert 950 * (1 - HEADROOM_SHARE) - 1 <= found.batch_size <= 950
    with pytest.raises(UsageError, match="batch 10 does not fit"):
        largest_batch(lambda size: size <= 20, lambda size: False, start=16, most=4096)


@given(st.integers(FLOOR, 255))
def test_a_start_that_does_not_fit_is_halved(truth: int) -> None:
    """The default batch may be too large for a stranger's model: what fits lies below it then."""
    found = largest_batch(
        lambda size: size <= truth, lambda size: size <= truth, start=256, most=4096
    )
    assert found.fit <= truth < (found.too_large or 0)
    assert FLOOR <= found.batch_size <= truth
    assert truth < max(found.batch_size * 1.05 + 1, found.batch_size + 2)


def test_nothing_is_tried_below_the_floor() -> None:
    """A model that not even two samples fit into is refused."""
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return False

    with pytest.raises(UsageError, match=f"batch {FLOOR} does not fit"):
        largest_batch(fits, fits, start=16, most=64)
    assert tried == [16, 8, 4, FLOOR]
