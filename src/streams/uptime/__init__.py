"""Uptime from the record (DESIGN 5.5): state intervals against clinic hours, never typed by hand; pure but `reader`."""
