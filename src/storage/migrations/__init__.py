"""Numbered SQL files; `storage.migrate` applies them."""
