"""Scripts that made what ships with the package: run once, kept beside the result."""
