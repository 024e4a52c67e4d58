"""How many generations more of two runs settle their comparison."""

from __future__ import annotations

from perfkit.stats import Interval
from perfkit.study.longer import Settled, more_generations

OLD = [-0.05, 0.05, -0.05, 0.05]
NEW = [log + 0.1 for log in OLD]


def _slower_by(share: float) -> Settled:
    def settled(ratio: Interval) -> bool:
        return ratio.high is not None and ratio.high * (1 + share) < 1

    return settled


def test_too_few_generations_are_made_four() -> None:
    """Fewer have no interval."""
    assert more_generations(OLD[:3], NEW) == 1


def test_as_many_as_narrow_the_interval_to_what_is_asked() -> None:
    """NEW takes 10.5 % longer: the closer a limit is to that the more it takes; beyond it none would do."""
    near, nearer = (more_generations(OLD, NEW, _slower_by(share)) for share in (0.05, 0.09))
    assert near is not None and nearer is not None and 4 <= near < nearer
    assert more_generations(OLD, NEW, _slower_by(0.2)) is None
