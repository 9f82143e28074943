"""The front beside one found by comparing every pair."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.search.front import front_of
from tests.search.spaces import SEEDS, generated_space


@pytest.mark.parametrize("seed", SEEDS)
def test_what_no_other_beats_once_each_and_the_chosen_one(seed: int) -> None:
    space, rng = generated_space(seed), np.random.default_rng(seed)
    genomes = rng.integers(0, space.lengths, (60, len(space.lengths)))
    genomes = np.concatenate([genomes, genomes[:20]])
    kept = space.kept(genomes)
    macs, saliency = space.costs.macs(kept), space.saliency(kept)
    beaten = [bool(((macs <= m) & (saliency >= s) & ((macs < m) | (saliency > s))).any()) for m, s in zip(macs, saliency, strict=True)]
    front = front_of(space, genomes)
    assert (np.diff(space.costs.macs(space.kept(front))) > 0).all()
    unbeaten = {(m, s) for m, s, worse in zip(macs.tolist(), saliency.tolist(), beaten, strict=True) if not worse}
    found = space.kept(front)
    assert set(zip(space.costs.macs(found).tolist(), space.saliency(found).tolist(), strict=True)) == unbeaten
    chosen = genomes[int(np.argmin(saliency))]
    with_chosen = {row.tobytes() for row in front_of(space, genomes, chosen=chosen)}
    assert with_chosen == {row.tobytes() for row in front} | {chosen.tobytes()}
