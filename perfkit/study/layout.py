"""The rows of a study, over the settings that each of its workloads starts from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.settings import Setting
from perfkit.study.settings import refuse_empty_epochs, refuse_out_of_bounds, sized

RowsOver = Callable[[Sequence[RunConfig]], tuple[RowPlan, ...]]
"""Which rows there are over the settings of each workload."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Rows, and the settings that they change.

    A row's key names what differs from its base settings: over others there may be other rows.
    """

    bases: tuple[RunConfig, ...]
    """Of each workload, the reference's first."""
    rows: tuple[RowPlan, ...]
    rows_over: RowsOver

    @classmethod
    def over(
        cls,
        bases: Sequence[RunConfig],
        rows_over: RowsOver,
        declared: Mapping[str, Sequence[Setting]],
    ) -> Layout:
        """Lay the rows out.

        Args:
            declared: the workloads' own settings, by workload.

        Raises:
            UsageError: a variant or a sweep does not exist, cannot be had, or is out of a setting's bounds.
        """
        rows = rows_over(bases)
        refuse_out_of_bounds(rows, declared)
        return cls(bases=tuple(bases), rows=rows, rows_over=rows_over)

    def of_lengths(self, lengths: Sequence[int | None], asked: int | None) -> Layout:
        """Return it for datasets of these lengths.

        Args:
            lengths: by workload; None where the configuration decides.
            asked: samples that an epoch should have; None where no flag says.

        Raises:
            UsageError: more samples are asked for than there are, or a batch is more than an epoch.
        """
        bases = [
            sized(base, length, asked) for base, length in zip(self.bases, lengths, strict=True)
        ]
        found = self._with(bases)
        refuse_empty_epochs(found.rows)
        return found

    def with_batch(self, batch_size: int) -> Layout:
        """Return it with that batch in the place of every workload's own, the learning rate scaled."""
        scale_lr = variants.get("scale_lr")
        bases = [replace(b, batch_size=min(batch_size, b.num_samples)) for b in self.bases]
        return self._with([scale_lr.change(base, "1") for base in bases])

    def _with(self, bases: Sequence[RunConfig]) -> Layout:
        if tuple(bases) == self.bases:
            return self
        return replace(self, bases=tuple(bases), rows=self.rows_over(bases))
