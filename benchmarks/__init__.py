"""Benchmarks and other measurements.

benchmark.py compares the service with its peers: plan (the cases), weights, clips (the recordings), peers, load (the
clients), report and goals. jobs.py, scale.py and store.py measure jobs, workers and stores; tune.py measures layouts.
evaluate/ measures the transcripts.
"""

import ctranslate2  # noqa: F401  # before `runners` sets how OpenMP waits: the peers have their own defaults
