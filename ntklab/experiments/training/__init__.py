"""Training runs of heads and of a language model's last layer, their tables and pages."""
