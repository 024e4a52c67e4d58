"""`perfkit run`: what holds somebody's own training back, read from the folders that its processes write."""
