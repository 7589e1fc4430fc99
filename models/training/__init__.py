"""Creates the embedded checkpoint: sentences, synthetic speech, windows, network, training, conversion, evaluation."""
