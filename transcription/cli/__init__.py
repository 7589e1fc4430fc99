"""The command `transcribe`: recordings to text and subtitles, by a server or in this process."""
