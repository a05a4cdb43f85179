"""The site's TOML file: its sections, how it is read, what is checked, and how a mistake is told."""
