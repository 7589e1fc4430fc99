"""Settings of OpenMP, which runs the threads of a slot. libgomp reads them when it is loaded."""

from __future__ import annotations

# By default a thread that waits for the others of its slot spins for some milliseconds. Beside other processes it burns
# the time slices that the awaited thread needs, at each of the thousands of barriers of a window: on two busy cores a
# 5 s clip took 13 s and 7 s of CPU time instead of 0.9 s and 1.1 s. On idle cores to wait in the kernel costs 5 %.
WAIT_PASSIVELY = {"OMP_WAIT_POLICY": "passive"}
