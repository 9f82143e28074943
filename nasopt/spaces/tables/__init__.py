"""Tables of published benchmarks: what each holds, where it is found, what it says of an architecture, how it is imported."""
