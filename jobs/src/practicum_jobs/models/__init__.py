"""Models as local folders: where a URI's files come from, what they hold, and how their tokenizer counts."""
