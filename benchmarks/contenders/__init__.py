"""Those that are measured: each file here is a process of its own, run by `benchmarks.run`."""
