"""How fast mixing is, beside what else mixes and beside a copy of the same bytes: `make bench`, docs/benchmarks.md."""
