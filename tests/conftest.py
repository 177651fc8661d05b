"""Hypothesis profiles: `dev` explores, `ci` draws the same examples every time and never complains of a slow machine.

One thread: the tensors of tests are small, and threads that wait for each other on a busy machine cost far more than they bring.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

from hypothesis import settings

settings.register_profile("dev", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=15, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
