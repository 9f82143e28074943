"""What executes a network: ONNX Runtime sessions, the masked reference that a result is verified against, latency.

It depends on `graphs` alone: who runs a network need not know how the network came about.
"""
