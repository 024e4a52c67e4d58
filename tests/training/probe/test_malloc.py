"""Keeping freed memory: page faults tell whether the allocator does, each time in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's mallopt")
PROGRAM = """
import resource, sys, torch
from perfkit.training.probe.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        # twice what glibc ever takes from its heap by default: 32 MiB
        torch.zeros(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def run(mode: str, **variables: str) -> tuple[bool, int]:
    """Whether memory is kept, and the page faults of making 20 large tensors."""
    command = [sys.executable, "-c", PROGRAM, mode]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | variables
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


def test_kept_memory_is_not_faulted_in_again() -> None:
    """By default every tensor is made of new pages; kept, of the same ones."""
    (kept, few), (_, many) = run("keep"), run("default")
    assert kept
    assert many > 20 * 16 * 2**20 * 4 / 4096 / 2
    assert few < many / 100


def test_a_users_own_settings_are_let_be() -> None:
    """MALLOC_ variables in the environment come first."""
    kept, _ = run("keep", MALLOC_ARENA_MAX="2")
    assert not kept
