"""Executors: how PyTorch runs each operator, a file a family, as in `nasopt.graphs.ops`.

They are in this room, and not in the operators' own entries, because `graphs` must not import torch.
"""

from __future__ import annotations

from nasopt.runtime.torch_ops import activation as activation
from nasopt.runtime.torch_ops import arithmetic as arithmetic
from nasopt.runtime.torch_ops import convolution as convolution
from nasopt.runtime.torch_ops import matrix as matrix
from nasopt.runtime.torch_ops import normalisation as normalisation
from nasopt.runtime.torch_ops import recurrent as recurrent
from nasopt.runtime.torch_ops import reduction as reduction
from nasopt.runtime.torch_ops import resizing as resizing
from nasopt.runtime.torch_ops import selection as selection
from nasopt.runtime.torch_ops import spatial as spatial
from nasopt.runtime.torch_ops import views as views
from nasopt.runtime.torch_ops.registry import EXECUTORS as EXECUTORS
from nasopt.runtime.torch_ops.registry import TORCH_TYPES as TORCH_TYPES
from nasopt.runtime.torch_ops.registry import Call as Call
from nasopt.runtime.torch_ops.registry import Executor as Executor
