"""Benchmarks: scripts that produce the figures of docs/benchmarks.md, and the networks they run on."""
