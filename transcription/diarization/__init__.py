"""Who spoke when: windows of the sound are segmented, their speakers embedded, and the embeddings clustered.

weights (which files), sessions (the two models), powerset and features (their output and input), windows (cuts the
sound), pieces (cuts the speech), observations (what is kept of a window), kept (the same as text), centres (what all
voices have in common), clustering (which voices are one person's), people (how many there are, and whose a piece is),
partitions (which division of the pieces among so many is the likeliest), known (people with names), turns (from windows
to turns), diarizer (drives all of them), online (whose the utterances of a live session are).
docs/SPEAKERS.md has figures; decision 0054 has the reasons.
"""
