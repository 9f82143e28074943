"""AIO-P (Mills et al., AAAI 2023): a graph network with K-Adapters that predicts how well any network would do a task."""
