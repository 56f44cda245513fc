"""ntklab.cli."""
