"""One head for several adapters (extra ``torch``).

AIO-P's Section 3 can be read so; its code averages the answers of a head each. Backbone and adapters stay. The head reads the embeddings
of all of them, and learns from the labels that the adapters learned from, each scaled in its own task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nasopt.predictors.aiop.finetune import Transfer
from nasopt.predictors.aiop.network import head, run_head
from nasopt.predictors.aiop.training import LARGE, Data, Recipe, lost

__all__ = ["joined"]


def joined(transfer: Transfer, parts: Sequence[Data], recipe: Recipe) -> Transfer:
    """The same with one head over all adapters; `transfer` stays as it is.

    Args:
        transfer: with one adapter or more.
        parts: labels to learn from, of each adapter's task, scaled as the adapter's were.
        recipe: how; epochs are rounds through the labels of all parts. Nothing is set aside: the last epoch is kept, as in AIO-P's code.
    """
    torch.manual_seed(recipe.seed)
    with torch.no_grad():
        inputs = torch.cat([transfer.embeddings(part.blocks(LARGE)) for part in parts])
    targets = torch.from_numpy(np.concatenate([part.targets for part in parts])).float()
    layers = head(inputs.shape[1])
    optimizer = torch.optim.Adam(layers.parameters(), lr=recipe.rate)
    steps = -(-len(inputs) // recipe.batch)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps) if recipe.cosine else None
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(np.random.default_rng((recipe.seed, epoch)).permutation(len(inputs)))
        for rows in (order[step * recipe.batch : (step + 1) * recipe.batch] for step in range(steps)):
            loss = lost(run_head(layers, inputs[rows]), targets[rows], recipe.delta)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            optimizer.step()
            if falling is not None:
                falling.step()
    return replace(transfer, joint=layers)
