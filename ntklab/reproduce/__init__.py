"""Every main result from scratch: what `ntklab reproduce` computes, and the pages it writes."""
