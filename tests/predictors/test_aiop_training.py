"""Training learns, repeats bit for bit, goes on where it was killed, and does not touch a frozen backbone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from nasopt.errors import UsageError
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.network import Adapter, Network
from nasopt.predictors.aiop.training import Data, Recipe, fit, outputs
from nasopt.spaces.registry import get_space

RECIPE = Recipe(epochs=6, batch=8, rate=3e-3, seed=1)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    space, rng = get_space("nasbench_macro"), np.random.default_rng(0)
    genes = [space.sample(rng) for _ in range(40)]
    return from_space(space, genes, [space.text(one) for one in genes])


@pytest.fixture(scope="module")
def parts(corpus: Corpus) -> tuple[Data, Data]:
    """To learn: how large a network is."""
    labels = np.log(corpus.params)
    scaled = Scale.fit("stand", labels[:30], corpus.gflops[:30]).apply(labels, corpus.gflops)
    return Data(corpus.graphs[:30], scaled[:30]), Data(corpus.graphs[30:], scaled[30:])


def fresh() -> Network:
    torch.manual_seed(0)
    return Network()


class Killed(Exception):  # noqa: N818 - not an error
    pass


def test_learns_and_repeats(parts: tuple[Data, Data]) -> None:
    train, dev = parts
    longer = Recipe(epochs=40, batch=8, rate=3e-3)
    network, again = fresh(), fresh()
    error = fit(network, train, dev, longer)
    assert error == np.abs(outputs(network, dev.graphs) - dev.targets).mean()
    assert error < 0.5 * np.abs(dev.targets - np.median(train.targets)).mean()
    assert fit(again, train, dev, longer) == error


@pytest.mark.parametrize("killed_after", [1, 4])
def test_goes_on_where_it_was_killed(parts: tuple[Data, Data], tmp_path: Path, killed_after: int) -> None:
    expected, network = fresh(), fresh()
    error = fit(expected, *parts, RECIPE)

    def kill(epoch: int, _error: float) -> None:
        if epoch == killed_after:
            raise Killed

    with pytest.raises(Killed):
        fit(network, *parts, RECIPE, folder=tmp_path, progress=kill)
    other = Network()
    assert fit(other, *parts, RECIPE, folder=tmp_path) == error
    for one, two in zip(expected.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as log:
        assert [row[0] for row in log.execute("SELECT epoch FROM epochs ORDER BY epoch")] == [1, 2, 3, 4, 5, 6]
        assert log.execute("SELECT MIN(dev_error) FROM epochs").fetchone()[0] == error


def test_killed_once_its_state_is_written_the_log_is_whole_in_the_end(parts: tuple[Data, Data], tmp_path: Path, monkeypatch) -> None:
    replace, count = Path.replace, iter(range(100))

    def killed(self: Path, target: Path) -> Path:
        result = replace(self, target)
        if next(count) == 3:
            raise Killed
        return result

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        fit(fresh(), *parts, RECIPE, folder=tmp_path)
    fit(fresh(), *parts, RECIPE, folder=tmp_path)
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as log:
        assert [row[0] for row in log.execute("SELECT epoch FROM epochs ORDER BY epoch")] == [1, 2, 3, 4, 5, 6]


def test_another_run_is_not_taken_up(parts: tuple[Data, Data], tmp_path: Path) -> None:
    fit(fresh(), *parts, Recipe(epochs=1), folder=tmp_path)
    with pytest.raises(UsageError, match="other data or settings"):
        fit(fresh(), *parts, Recipe(epochs=1, seed=5), folder=tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"broken")
    with pytest.raises(UsageError, match="not a training run's state"):
        fit(fresh(), *parts, Recipe(epochs=1), folder=tmp_path)


def test_robust_loss_is_ruled_less_by_what_failed(parts: tuple[Data, Data]) -> None:
    train, dev = parts
    spoilt = train.targets.copy()
    spoilt[::10] = -30
    errors = [fit(fresh(), Data(train.graphs, spoilt), dev, Recipe(epochs=30, batch=8, rate=3e-3, delta=delta)) for delta in (None, 0.05)]
    assert errors[1] < errors[0]


def test_stops_when_nothing_is_gained(parts: tuple[Data, Data]) -> None:
    train, _ = parts
    seen: list[int] = []
    useless = Data(train.graphs[:8], np.random.default_rng(3).normal(size=8))
    fit(fresh(), train, useless, Recipe(epochs=60, batch=8, patience=2), progress=lambda epoch, _error: seen.append(epoch))
    assert len(seen) < 60


def test_backbone_stays_as_it_is(parts: tuple[Data, Data]) -> None:
    backbone = fresh()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    adapter = Adapter()
    first = outputs((backbone, adapter), parts[1].graphs)
    fit((backbone, adapter), *parts, RECIPE)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert not np.allclose(first, outputs((backbone, adapter), parts[1].graphs))
