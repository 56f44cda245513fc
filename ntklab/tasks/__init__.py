"""ntklab.tasks."""
