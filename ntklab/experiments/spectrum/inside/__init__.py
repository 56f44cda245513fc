"""Spectra of adapters inside a model: which layers, which texts, and what is read of it."""
