"""Kernels inside models: cases, the ways of others to them, and whole vocabularies."""
