"""The gateway before inference engines: OpenAI's HTTP API with keys, token limits, a queue and circuit breakers."""
