"""What devices say in their logs: syslog, files, DICOM audit messages; rules turn lines into faults."""
