"""Patients' objects on their way to the PACS, and who has promised to keep them."""
