"""Reports to read, to sign and to hand on: figures first, then a document, then PDF, HTML and CSV of the same."""
