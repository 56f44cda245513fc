"""ntklab.tensor_train."""
