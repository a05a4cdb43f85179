"""The database: a projection of the log that can be dropped and made again from it."""
