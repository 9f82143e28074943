"""How long a network takes on a device: costs by class of operator, and what each device makes of them."""

from __future__ import annotations
