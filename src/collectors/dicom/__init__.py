"""The DICOM front end of a site: objects received, the worklist proxy, what a report says."""
