"""Fixed-size binary records: the step records of a trainer, the fetch records of a loader worker.

A record file is a 16-byte header (8 bytes of magic, version, record size) and records of one size, so
it can be appended to by one writer, read while that goes on, and read after any death: a torn last
record is dropped. A missing number is NaN in the file and to its reader, who says None to the next.

Format history:
    1  first version of both formats.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, TypeVar

from perfkit.errors import DamagedFile, LaterVersion

VERSION = 1
NAN = math.nan
_HEADER = struct.Struct("<8sII")


class StepRecord(NamedTuple):
    """One training step. Times are seconds but for `start_ns`; NaN means not measured.

    The host's phases are read from `perf_counter_ns` round each phase of the loop. The device's are
    intervals on the device's own clock between marks in its stream, NaN where the device is the host.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    """Number of the step in its process, from 0."""
    block: int
    """Block it belongs to; -1 outside blocks (warm-up, edges of an epoch)."""
    samples: int
    queue_depth: int
    """Batches that were ready when the step asked for one; -1 unknown."""
    start_ns: int
    """`perf_counter_ns` when the step asked for its batch."""
    step_s: float
    """Host time from asking for this batch to asking for the next."""
    data_wait_s: float
    """Host time inside `next(loader)`."""
    h2d_s: float
    forward_s: float
    backward_s: float
    optimizer_s: float
    device_step_s: float
    """Device time from asking for this batch to asking for the next."""
    exposed_wait_s: float
    """What the device sat idle while the host waited for the batch; equals `data_wait_s` without a device."""
    device_h2d_s: float
    device_forward_s: float
    device_backward_s: float
    device_optimizer_s: float
    lead_s: float
    """How far the host ran ahead of the device when it asked for the batch; 0 when the device was idle."""

    @property
    def other_s(self) -> float:
        """The residual: host time of the step outside every phase."""
        phases = self.data_wait_s + self.h2d_s + self.forward_s + self.backward_s
        return self.step_s - phases - self.optimizer_s

    @property
    def own_step_s(self) -> float:
        """Time of the step where it ran: on the device's clock where there is one, else the host's."""
        return self.step_s if math.isnan(self.device_step_s) else self.device_step_s


class FetchRecord(NamedTuple):
    """One batch made by a loader worker (worker 0 is the trainer itself when there are none)."""

    worker: int
    batch: int
    """How many batches this worker had made before."""
    samples: int
    end_ns: int
    """`perf_counter_ns` when the batch was handed over."""
    idle_s: float
    """Waiting for something to do."""
    fetch_s: float
    """Reading and transforming the samples."""
    fetch_cpu_s: float
    """CPU time of that; the rest was blocked."""
    collate_s: float
    collate_cpu_s: float
    handover_s: float
    """Putting the batch into the result queue."""
    serialise_cpu_s: float
    """CPU time of the queue's own thread since the last record: pickling and shared memory."""


R = TypeVar("R", bound=tuple[object, ...])


class RecordFormat(Generic[R]):
    """How one kind of record is laid out in a file.

    Args:
        magic: eight bytes that begin a file of this kind.
        kind: the NamedTuple of its records.
        layout: struct codes of the fields, little-endian and unpadded.
    """

    def __init__(self, magic: bytes, kind: type[R], layout: str) -> None:
        self.magic = magic
        self.kind = kind
        self.struct = struct.Struct("<" + layout)

    @property
    def header(self) -> bytes:
        """What a file of this kind begins with."""
        return _HEADER.pack(self.magic, VERSION, self.struct.size)

    def pack(self, record: R) -> bytes:
        """Return the bytes of one record."""
        return self.struct.pack(*record)

    def read(self, path: Path, *, first: int = 0, count: int | None = None) -> Iterator[R]:
        """Yield the records of a file, `count` from number `first` on, without holding them all.

        A torn last record is dropped; a file that is empty or holds half a header has no records yet.

        Raises:
            DamagedFile: the file is not of this kind.
            LaterVersion: a later perfkit wrote it.
            FileNotFoundError: there is no such file.
        """
        with path.open("rb") as file:
            if not self._check(file, path):
                return
            file.seek(_HEADER.size + first * self.struct.size)
            left = count
            while left is None or left > 0:
                wanted = 4096 if left is None else min(4096, left)
                chunk = file.read(wanted * self.struct.size)
                whole = len(chunk) // self.struct.size
                for values in self.struct.iter_unpack(chunk[: whole * self.struct.size]):
                    yield self.kind(*values)
                if whole < wanted:
                    return
                left = None if left is None else left - whole

    def count(self, path: Path) -> int:
        """Return how many whole records a file holds; 0 when it does not exist."""
        try:
            return max(0, path.stat().st_size - _HEADER.size) // self.struct.size
        except FileNotFoundError:
            return 0

    def _check(self, file: BinaryIO, path: Path) -> bool:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            if not self.header.startswith(head):
                raise DamagedFile(f"{path} is not a perfkit record file")
            return False
        magic, version, size = _HEADER.unpack(head)
        if magic != self.magic:
            raise DamagedFile(f"{path} is not a perfkit record file of this kind")
        if version > VERSION:
            raise LaterVersion(
                f"{path} has record format {version}; this perfkit reads up to {VERSION}",
                hint="read it with the perfkit that wrote it, or a later one",
            )
        if size != self.struct.size:
            raise DamagedFile(f"{path} has records of {size} bytes instead of {self.struct.size}")
        return True


STEPS: RecordFormat[StepRecord] = RecordFormat(b"PKSTEPS\0", StepRecord, "IiihxxQ13d")
FETCHES: RecordFormat[FetchRecord] = RecordFormat(b"PKFETCH\0", FetchRecord, "iiiQ7d")
