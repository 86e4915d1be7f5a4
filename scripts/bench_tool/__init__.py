"""What scripts/bench.py does: the program and the physical limit, measured side by side in one run."""
