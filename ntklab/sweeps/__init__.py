"""Training runs beside their predictions, their tables and pages."""
