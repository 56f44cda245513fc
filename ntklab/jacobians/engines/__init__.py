"""The routes to the rows of J, each compared with the slow and plain `loop`."""
