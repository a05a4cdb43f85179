"""Random people, readings and time against a device, judged by rules written down here and nowhere in the fold."""
