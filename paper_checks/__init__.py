"""The claims of papers, computed: one folder a paper (a pack), one file a claim.

`tensorguide/eq13.py` says what is claimed, computes it over public functions of ntklab, judges the
numbers and draws them. `ntklab.claims` holds the concepts that they share and makes the report. Run
them with `ntklab check [ID...]`.
"""
