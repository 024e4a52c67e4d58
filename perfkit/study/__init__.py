"""Studies: what to run next, and what the results mean. Pure but for the executor it is given."""
