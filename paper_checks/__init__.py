"""Every numbered claim of arXiv 2506.16456, executed, with a verdict computed from the numbers.

One file a claim: `eq13.py` says what is claimed, computes it over public functions of ntklab,
judges the numbers and draws them. `harness` holds the few concepts they share, `report` turns a
finished run into a page. Run them with `ntklab check [ID…]`.
"""
