"""The conformance suite for adapters, as scikit-learn ships `check_estimator` for estimators."""

from ntklab.testing.case import Case
from ntklab.testing.suite import CHECKS, check_adapter

__all__ = ["CHECKS", "Case", "check_adapter"]
