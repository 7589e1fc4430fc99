"""Live sessions over TCP in the Wyoming protocol, which Home Assistant speaks. Names are those of its package."""
