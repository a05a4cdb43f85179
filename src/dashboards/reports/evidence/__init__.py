"""The evidence pack of one device, for an inspection."""
