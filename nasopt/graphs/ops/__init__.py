"""One registry of operators: what each computes, what it costs and what it does to channels.

An operator is known in one place. One that is not in the registry is a barrier: its cost is unknown and the channels around it
are frozen, but it is never an error.
"""
