"""Settings for all tests."""

import os

# Before anything imports torch: on few cores, two torch threads beside a second pytest worker stall each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
