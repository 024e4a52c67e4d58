"""What the tests of plots look at: finished pictures, pages, and what is written on them."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from perfkit.document import Document
from perfkit.report import plots
from perfkit.report.plots._page import Drawing
from perfkit.report.stored import Pictures, StoredAnswer
from perfkit.runfolder import StudyFolder


def pictures(shown: Document, study: StudyFolder | None = None) -> Pictures:
    """Draw all plots of a Document."""
    return plots.draw(StoredAnswer(name="run", document=shown, study=study), "report-")


def figure(drawing: Any) -> Figure:
    """The page of a plot that was drawn."""
    assert isinstance(drawing, Drawing)
    return drawing.figure


def texts(drawn: Figure) -> list[str]:
    """Everything that is written on a page."""
    return [one.get_text() for one in drawn.findobj(Text) if one.get_text()]
