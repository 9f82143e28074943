"""The space that docs/spaces.md writes is a space: its code runs as it stands there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.space import Space

PAGE = Path(__file__).parents[2] / "docs/spaces.md"
IMPORTS = """
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx

from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space
"""


def test_a_space_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if "class Plain" in block]
    (tmp_path / "plain_space.py").write_text(IMPORTS + code)
    monkeypatch.syspath_prepend(str(tmp_path))
    space: Space = import_module("plain_space").Plain()
    assert len(list(space.architectures())) == space.count() == 27
    genes = space.sample(np.random.default_rng(0))
    assert space.parse(space.text(genes)) == genes
    assert space.mutate(genes, np.random.default_rng(1)) in set(space.neighbours(genes))
    assert totals(Graph(space.build((2, 0, 1)))).params == 16 * (3 * 25 + 16 + 16 * 9) + 3 * 32 + 170
