"""ntklab.sweeps."""
