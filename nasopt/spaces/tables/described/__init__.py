"""The published tables, a module for each family: what each holds, in which units, from whom."""
