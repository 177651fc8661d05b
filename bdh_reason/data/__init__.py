"""Data sets: generate or import, split by family, write, open, audit, cut into batches. Numpy only."""
