"""The verbs as functions, one a file; the name of a verb is the name of its module.

Nothing is re-exported here, because a package cannot hold a function and a module under the same name: call `nasopt.compress`, or
import it from `nasopt.api.compress`.
"""
