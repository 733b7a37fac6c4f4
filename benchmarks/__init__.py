"""Benchmarks of mixaug, other libraries and a plain copy: `make bench` writes docs/benchmarks.md."""
