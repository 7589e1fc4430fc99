"""Live sessions in the protocol of Deepgram's WS /v1/listen. Types and names are those of its published SDK."""
