"""Web console, HTTP API, sign-in and metrics of a site."""
