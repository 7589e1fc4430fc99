"""Windows in, window results out: the model's process, its scheduler and its engine."""
