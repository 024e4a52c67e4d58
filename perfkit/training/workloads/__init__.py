"""The workloads that come with perfkit, one file each."""
