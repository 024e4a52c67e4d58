"""Where a recorder writes."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of its steps."""
    return tmp_path / "steps.bin"
