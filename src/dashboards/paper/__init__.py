"""Pages to print and to sign."""
