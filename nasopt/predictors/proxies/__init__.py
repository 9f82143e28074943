"""Zero-cost proxies: what an untrained, or any, network's own numbers say of it, without training (docs/proxies.md).

A proxy a file, each of them a formula over what `passes.py` gathers in one pass for all of them. All of it needs the extra `torch`.
"""
