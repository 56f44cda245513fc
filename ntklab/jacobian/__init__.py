"""ntklab.jacobian."""
