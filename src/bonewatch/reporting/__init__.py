"""Reports from the command line and for the console: what a site is asked for, and where it is written."""
