"""OpenAI's Realtime transcription sessions. Types and names are those of OpenAI's published schema."""
