"""What the tests of attached recordings share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hooked_script import Script


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A script that has just begun."""
    return Script(tmp_path / "steps.bin")
