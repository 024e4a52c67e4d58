"""A factory that never returns."""

from __future__ import annotations

import time
from typing import Any

from perfkit.config import RunConfig


def factory(config: RunConfig) -> Any:
    time.sleep(10_000)
