"""Results as text, JSON and HTML. It sees the records of `nasopt.results` and nothing else."""
