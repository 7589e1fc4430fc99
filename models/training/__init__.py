"""How the embedded checkpoint is made: sentences, synthetic speech, windows, network, training, conversion."""
