"""What a report is made from, and the pictures that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfkit.document import Document
from perfkit.report import flat
from perfkit.runfolder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """One stored answer."""

    name: str
    """What the user called it: a folder or a file, without the way there."""
    document: Document
    study: StudyFolder | None = None
    """Where its training processes left their records; None when the Document stands alone."""

    def frame(self) -> pd.DataFrame:
        """Return its rows as a data frame, a column for each metric in SI units, named as in the Document."""
        return flat.frame([(self.name, self.document)])


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished plot."""

    title: str
    caption: str
    """How to read it, in a sentence or two."""
    file_name: str
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The plots of one answer, and those that could not be drawn."""

    drawn: tuple[Picture, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    """Title and reason of each."""
