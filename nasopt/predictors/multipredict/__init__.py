"""Few-shot latency and accuracy predictors, after Multi-Predict (Akhauri and Abdelfattah, AutoML 2023)."""

from __future__ import annotations
