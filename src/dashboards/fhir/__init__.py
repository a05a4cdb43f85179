"""FHIR R4 (4.0.1), to read: devices, what they measure, measurements of patients and what those rest on."""
