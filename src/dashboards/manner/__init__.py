"""How the HTTP API answers, whatever is asked."""
