"""Runners on other machines: the wire, the runner's side of it, and the client that shares windows among them."""
