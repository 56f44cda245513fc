"""Experiments: a cell is a pure function of its configuration; a run is many cells and a record."""
