"""ntklab.spectrum."""
