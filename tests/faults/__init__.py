"""Faults on the real parts: what gc-tuner does, and above all does not do, while and after."""
