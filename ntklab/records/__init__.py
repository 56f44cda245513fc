"""ntklab.records."""
