"""The stage ``loadtest``: requests at given rates against a server of OpenAI's API."""
