"""The probes: what is read inside a training process, the same under every door."""
