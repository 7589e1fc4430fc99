"""Measures the transcripts of the service and its peers against references. Run with `make evaluate`.

references (what was said), systems (who transcribes), scoring (errors), times (time errors), bootstrap (confidence
intervals), results (from transcripts to figures) and report (tables). docs/ACCURACY.md describes what is measured.
"""
