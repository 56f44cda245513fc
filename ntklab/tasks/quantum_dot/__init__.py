"""Charge stability diagrams of quantum dots."""

from ntklab.tasks.quantum_dot.diagrams import Diagrams, load_diagrams
from ntklab.tasks.quantum_dot.simulator import simulate
from ntklab.tasks.quantum_dot.task import load_quantum_dot

__all__ = ["Diagrams", "load_diagrams", "load_quantum_dot", "simulate"]
