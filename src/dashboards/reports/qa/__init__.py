"""The monthly QA report of one device."""
