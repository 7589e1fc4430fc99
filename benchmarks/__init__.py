"""The parts of benchmarks/benchmark.py: what is measured (plan), on what (clips), against whom (peers), how (load)."""
