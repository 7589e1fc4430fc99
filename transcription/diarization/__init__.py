"""Who spoke when: windows of the sound are segmented, their speakers embedded, and the embeddings clustered.

weights (which files), sessions (the two models), powerset and features (their output and input), windows (cuts the
sound), clustering (which embeddings are one person), turns (from windows to turns), diarizer (drives all of them).
docs/SPEAKERS.md has figures; decision 0054 has the reasons.
"""
