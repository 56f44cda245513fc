"""The last layer of a language model, judged by perplexity."""
