"""`python -m graph` is the command `graph`."""

from graph.cli import main

main()
