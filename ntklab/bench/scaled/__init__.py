"""A kernel shared among workers, and what fits where."""
