"""The command `transcribe`: transcribes recordings on a server or in this process."""
