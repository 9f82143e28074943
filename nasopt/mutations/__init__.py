"""How a network may change.

The contract of a mutation, one mutation a file, the importances that channels are ranked by, the search space compiled from a
base network, and the edit script that records what was done.
"""
