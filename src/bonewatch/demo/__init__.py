"""The demonstration: a department, and a fleet of two hospitals, with people, alerts and a past."""
