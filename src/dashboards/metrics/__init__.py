"""What Prometheus reads of a site at ``/metrics``: counters of the process, and how things stand at each scrape."""
