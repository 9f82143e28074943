"""Published search spaces: their networks as graphs, their tables as loaders."""
