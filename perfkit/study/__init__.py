"""Studies: what to run next, and what the results mean. Pure but for the engine it is given."""
