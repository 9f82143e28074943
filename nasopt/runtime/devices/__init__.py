"""Devices that latency is measured on: back-ends behind one small protocol (`contract`), a file each, and calibrations (`store`)."""
