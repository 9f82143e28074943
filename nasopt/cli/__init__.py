"""The command line: click commands, one a file, loaded when they are called. The only place that prints."""
