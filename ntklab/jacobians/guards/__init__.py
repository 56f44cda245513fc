"""Guards of a call: is the model a function of one sample, and do the engines agree on it?"""
