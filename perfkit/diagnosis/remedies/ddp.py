"""DistributedDataParallel instead of DataParallel: a process for each device, gradients summed meanwhile.

DataParallel copies the network to every device at every step and runs all of them from one process; the
bound is communication and launching at nothing. 3 % is XProf's threshold for collectives.
"""

from __future__ import annotations

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal

ANSWERS = ("communication_bound", "host_bound")
SNIPPET = """\
# start it with: torchrun --nproc-per-node={devices} train.py
import os

torch.distributed.init_process_group("nccl")
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
model = torch.nn.parallel.DistributedDataParallel(model.to(rank), device_ids=[rank])
sampler = torch.utils.data.distributed.DistributedSampler(dataset)
loader = DataLoader(dataset, batch_size=batch_size, sampler=sampler)
"""


def propose(evidence: Evidence, judgement: Judgement) -> Proposal | None:
    """Return it where DataParallel trains on several devices."""
    config = evidence.config
    if config.parallel != "dp" or len(config.devices) < 2:
        return None
    share = _seen.share(evidence, "communication") + _seen.share(evidence, "host_launch")
    found = evidence.attribution
    if found is None or share < _seen.OTHER_SHARE:
        return None
    return Proposal(
        why=f"DataParallel's copies and launches on {len(config.devices)} devices cost"
        f" {_seen.of_epoch(evidence, share * found.epoch_s)}.",
        risk="Each process loads its own part of the data with workers of its own;"
        " with as many samples a step in all, the training stays the same but for their order.",
        snippet=SNIPPET.format(devices=len(config.devices)),
        effect=_seen.costs_nothing("communication_s", "host_launch_s"),
        basis="bound",
    )
