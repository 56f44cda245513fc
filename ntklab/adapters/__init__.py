"""ntklab.adapters."""
