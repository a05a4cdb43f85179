"""What a device's log says, for reports and for inspections."""
