"""The subcommands: parse, call, show. One module each, imported on use."""
