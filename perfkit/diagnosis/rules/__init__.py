"""One cause each, one file each: `check(evidence) -> Finding | None`."""
