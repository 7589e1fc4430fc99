"""Measurements behind the decision records: each prints the table that its record shows."""
