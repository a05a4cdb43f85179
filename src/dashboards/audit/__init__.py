"""The record of who read patient-linked data, and who wrote."""
