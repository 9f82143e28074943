"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says nothing on a shared machine. CI draws the same examples each time, so that a red run is the change's
# own doing; new ones are drawn wherever else the tests run.
hypothesis.settings.register_profile("nasopt", deadline=None, print_blob=True, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("nasopt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``-m data`` selects the tests that use the fixture, ``-m 'not data'`` the others."""
    for item in items:
        if "data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


@pytest.fixture(scope="session")
def data() -> Path:
    """The directory with ``models``, ``images`` and ``data`` (tables), from NASOPT_DATA.

    Without the variable its tests are skipped, or fail where NASOPT_REQUIRE_DATA is set. A file that is missing below it is an
    error like any other: tests open what they need and do not ask whether it is there.
    """
    if "NASOPT_DATA" not in os.environ:
        if "NASOPT_REQUIRE_DATA" in os.environ:
            pytest.fail("NASOPT_REQUIRE_DATA is set, but NASOPT_DATA is not")
        pytest.skip("needs NASOPT_DATA")
    root = Path(os.environ["NASOPT_DATA"])
    missing = [name for name in ("models", "images", "data") if not (root / name).is_dir()]
    if missing:
        pytest.fail(f"NASOPT_DATA is {root}, where there is no {', '.join(missing)}")
    return root
