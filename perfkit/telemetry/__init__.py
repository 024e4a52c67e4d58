"""The machine beside the training: NVML and /proc, read by a child process of its own.

reading.py   values that may be missing, each with its reason
nvml.py      one GPU by its UUID
proc.py      what Linux tells under /proc
foreign.py   the gauge: CPU that was neither idle nor ours, round a block
gpu.py       the gauge of the GPU: throttling and other processes, round a block
sampler.py   the child: appends a sample every 0.2 s
start.py     starts and stops the child
windows.py   samples to averages over stretches of time
"""
