"""The door WS /live: our own protocol for live sessions, see docs/LIVE.md."""
