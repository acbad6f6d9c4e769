"""The commands of `graph` that are larger than a few lines; `graph.cli` has them all."""
