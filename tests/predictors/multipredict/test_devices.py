"""The device sets are those of the published tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasopt.predictors.multipredict.devices import TASKS, DeviceTask, metric
from nasopt.spaces.tables.query import join


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("nasbench201-default", (9, 6, 900, 10)), ("nasbench201-adversarial", (17, 3, 900, 20)), ("fbnet-default", (9, 3, 4000, 10)),
        ("fbnet-adversarial", (15, 4, 4000, 20)),
    ],
)  # fmt: skip
def test_sizes(name: str, counts: tuple[int, ...]) -> None:
    task = TASKS[name]
    assert (len(task.train), len(task.test), task.pretrain, task.few) == counts


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_no_device_is_learned_from_and_tested_on(task: DeviceTask) -> None:
    assert len(set(task.train)) == len(task.train)
    assert not set(task.train) & set(task.test)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_all_devices_have_a_table(task: DeviceTask) -> None:
    for device in (*task.train, *task.test):
        assert len(join(task.space, [metric(device)]).keys) >= 1999


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("name", "test", "published"),
    [
        ("fbnet-default", "eyeriss", (0.25, 0.53, 0.76, 0.62, 0.63, 0.86, 0.98, 0.68, 0.69)),
        ("nasbench201-default", "fpga", (0.83, 0.84, 0.89, 0.94, 0.97, 0.96, 0.87, 0.92, 0.89)),
    ],
)
def test_correlations_are_those_of_tables_9_and_10(name: str, test: str, published: tuple[float, ...]) -> None:
    task = TASKS[name]
    found = join(task.space, [metric(device) for device in (*task.train, test)])
    each = [spearmanr(found.values[metric(device)], found.values[metric(test)]).statistic for device in task.train]
    assert np.round(each, 2).tolist() == pytest.approx(published)


def test_metric_keeps_a_table_that_is_named() -> None:
    assert (metric("fpga"), metric("latency_eagle_i7/latency_ms")) == ("latency_help/fpga", "latency_eagle_i7/latency_ms")
