"""Modality Performed Procedure Step: what a scanner says of a patient's scan, handed on to the RIS."""
