"""Measures who is said to speak when. Run with `python -m benchmarks.diarization`; docs/SPEAKERS.md has the figures.

conversations (what is measured on), systems (who tells speakers apart), scoring (diarization error rate).
"""
