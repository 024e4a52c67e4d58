"""What a control group leaves of the machine, on files of a hierarchy that a test made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfkit import limits

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores of affinity, 64 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 16 * 2**20, "SC_PAGE_SIZE": 4096}.get)


class Groups:
    """A hierarchy under `root`, and the groups that the process says it is in."""

    def __init__(self, folder: Path) -> None:
        self.root, self.membership = folder / "cgroup", folder / "membership"
        self.root.mkdir()

    def member(self, *lines: str) -> None:
        self.membership.write_text("\n".join(lines) + "\n")

    def file(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")

    @property
    def cores(self) -> int:
        return limits.usable_cores(self.root, self.membership)

    @property
    def memory_bytes(self) -> int | None:
        return limits.usable_memory_bytes(self.root, self.membership)

    @property
    def free_bytes(self) -> int | None:
        return limits.group_free_bytes(self.root, self.membership)


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_without_groups_all_that_there_is_may_be_used(groups: Groups) -> None:
    """No such file, or a system that has none: affinity and the machine's memory."""
    assert (groups.cores, groups.memory_bytes, groups.free_bytes) == (8, 64 * GIB, None)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_cores_are_whole_ones_of_the_quota(groups: Groups, quota: str, cores: int) -> None:
    """At least one, and never more than the affinity."""
    groups.member("0::/job")
    groups.file("job/cpu.max", quota)
    assert groups.cores == cores


def test_the_smallest_limit_up_the_hierarchy_counts(groups: Groups) -> None:
    """A group without one of its own has its parents'."""
    groups.member("0::/pod/container/job")
    groups.file("pod/cpu.max", "300000 100000")
    groups.file("pod/container/cpu.max", "600000 100000")
    groups.file("pod/container/job/cpu.max", "max 100000")
    groups.file("pod/memory.max", str(4 * GIB))
    groups.file("pod/container/memory.max", "max")
    assert (groups.cores, groups.memory_bytes) == (3, 4 * GIB)


def test_a_container_that_sees_the_root_alone(groups: Groups) -> None:
    """Its path is the host's and not to be found; its limits lie where the hierarchy is mounted."""
    groups.member("0::/kubepods/pod7/abc")
    groups.file("cpu.max", "200000 100000")
    groups.file("memory.max", str(GIB))
    assert (groups.cores, groups.memory_bytes) == (2, GIB)


@pytest.mark.parametrize("mounted", ["cpu", "cpu,cpuacct"])
def test_the_first_version(groups: Groups, mounted: str) -> None:
    """Controllers have folders of their own, alone or by the names they share."""
    groups.member("5:memory:/docker/abc", "4:cpu,cpuacct:/docker/abc", "0::/")
    groups.file(f"{mounted}/cpu.cfs_quota_us", "-1")
    groups.file(f"{mounted}/cpu.cfs_period_us", "100000")
    groups.file(f"{mounted}/docker/abc/cpu.cfs_quota_us", "250000")
    groups.file(f"{mounted}/docker/abc/cpu.cfs_period_us", "100000")
    groups.file("memory/memory.limit_in_bytes", "9223372036854771712")
    assert (groups.cores, groups.memory_bytes, groups.free_bytes) == (2, 64 * GIB, None)
    groups.file("memory/docker/abc/memory.limit_in_bytes", str(2 * GIB))
    groups.file("memory/docker/abc/memory.usage_in_bytes", str(GIB))
    groups.file("memory/docker/abc/memory.stat", f"total_inactive_file {GIB // 2}")
    assert (groups.memory_bytes, groups.free_bytes) == (2 * GIB, 3 * GIB // 2)


def test_what_is_free_is_the_least_of_every_group(groups: Groups) -> None:
    """Cached files that nobody used lately are free, and less than nothing is nothing."""
    groups.member("0::/a/b")
    groups.file("a/memory.max", str(8 * GIB))
    groups.file("a/memory.current", str(6 * GIB))
    groups.file("a/memory.stat", f"anon 5\ninactive_file {GIB}\nactive_file 7")
    groups.file("a/b/memory.max", str(4 * GIB))
    groups.file("a/b/memory.current", str(2 * GIB))
    assert groups.free_bytes == 2 * GIB
    groups.file("a/b/memory.current", str(5 * GIB))
    assert groups.free_bytes == 0


def test_a_machine_that_does_not_tell_its_memory(
    groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown stays unknown."""
    monkeypatch.delattr(os, "sysconf")
    assert groups.memory_bytes is None
