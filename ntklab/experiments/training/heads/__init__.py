"""Heads on cached features: a measured run of each, and the prediction of its kernel beside it."""
