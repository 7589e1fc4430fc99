"""OpenAI's audio API: routes, parameters, errors and server-sent events."""
