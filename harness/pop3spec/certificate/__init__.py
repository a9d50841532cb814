"""Certificates: frozen lists of requirements, what a run's results say of each, and its check."""
