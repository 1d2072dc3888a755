"""Closed loops: the real loop on the simulated plant, from the first tick to rest."""
