"""Freed host memory is kept: by default glibc gives large blocks back and has them zeroed anew each step.

Whether it does depends on how a process's heap happens to lie: the same training step on a CPU took 53 ms
in processes that kept their memory and 62 to 66 ms, 5,000 page faults and 15 % system time in those that
did not. So perfkit's own processes keep it on a CPU, and this variant (or MALLOC_TRIM_THRESHOLD_ and
MALLOC_MMAP_MAX_ in the environment of a training) shows what that is worth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from perfkit.config import Malloc, RunConfig
from perfkit.variants._values import one_of

VALUE = "default|keep"


def normalise(value: str | None) -> str:
    return one_of("malloc", value or "", ("default", "keep"))


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, malloc=cast(Malloc, value))
