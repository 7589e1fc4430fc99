"""Transcripts as bytes: one pure function for each format, and the registry that finds it."""
