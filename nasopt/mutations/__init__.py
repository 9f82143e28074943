"""How a network may change.

The contract and registry of mutations, one mutation a file, importances of channels, the compiled search space, and edit scripts that
replay a result.
"""

from __future__ import annotations

from nasopt.mutations import fold_batchnorm as fold_batchnorm
from nasopt.mutations import fold_constants as fold_constants
from nasopt.mutations import prune_channels as prune_channels
from nasopt.mutations import set_weights as set_weights
from nasopt.mutations import simplify as simplify
from nasopt.mutations.contract import MUTATIONS as MUTATIONS
from nasopt.mutations.contract import Edit as Edit
from nasopt.mutations.contract import apply_edit as apply_edit
