"""Evidence made by hand: an epoch of 100 steps of 0.1 s, with whatever a test adds to it."""

from __future__ import annotations

from typing import Any

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Evidence
from perfkit.document import Row

CONFIG = RunConfig(arch="convnext", num_workers=1)


def evidence(config: RunConfig = CONFIG, cores: int | None = 2, **changes: Any) -> Evidence:
    """Evidence of a row that waits for nothing and does nothing between its steps."""
    values: dict[str, Any] = {
        "status": "ok",
        "epoch_parts_s": {"steps": 10.0},
        "phases_s": {"data_wait": 0.0, "forward": 0.04, "backward": 0.06},
        "exposed_wait_s": 0.0,
    }
    row = Row(key="convnext/fp32", arch="convnext", variant="fp32", **(values | changes))
    return Evidence(row=row, config=config, environment={"cores_usable": cores})
