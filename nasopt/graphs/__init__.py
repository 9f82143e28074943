"""What a network is.

Reading and writing ONNX, constants and shapes, costs, channels that are coupled, the difference between two networks. Knows
nothing of how a network may change or who runs it.
"""
