"""The `segment5b` command. Each module holds one family of commands; imports inside keep start-up short."""
