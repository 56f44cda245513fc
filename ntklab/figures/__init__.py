"""ntklab.figures."""
