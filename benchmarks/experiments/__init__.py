"""Measurements behind decision records. Each prints the table in its record."""
