"""OpenAI's audio API: its routes, its parameters, its errors, its events."""
