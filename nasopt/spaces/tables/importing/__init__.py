"""Readers of the official benchmark releases that a user downloads himself; they execute nothing from a file."""
