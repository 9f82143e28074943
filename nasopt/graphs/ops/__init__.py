"""The operator registry: an operator is known in one place.

Each family file registers its operators: how they pass channels on, what they cost, what has to be rewritten when channels go, and how
they mix channels (what the masked reference of a verification has to mask). An operator that is not registered is a barrier.
"""

from __future__ import annotations

from nasopt.graphs.ops import arithmetic as arithmetic
from nasopt.graphs.ops import convolution as convolution
from nasopt.graphs.ops import matrix as matrix
from nasopt.graphs.ops import normalisation as normalisation
from nasopt.graphs.ops import reduction as reduction
from nasopt.graphs.ops import selection as selection
from nasopt.graphs.ops import spatial as spatial
from nasopt.graphs.ops import views as views
from nasopt.graphs.ops.registry import OPERATORS as OPERATORS
from nasopt.graphs.ops.registry import Macs as Macs
from nasopt.graphs.ops.registry import Mixing as Mixing
from nasopt.graphs.ops.registry import Operator as Operator
from nasopt.graphs.ops.registry import Rewrite as Rewrite
from nasopt.graphs.ops.registry import operator_of as operator_of
