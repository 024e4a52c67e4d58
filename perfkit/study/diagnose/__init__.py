"""`perfkit diagnose`: one process, its arms, and what holds its training back."""
