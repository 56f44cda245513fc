"""ntklab.testing."""
