"""Transcripts as text: one pure function per format, and the registry of formats."""
