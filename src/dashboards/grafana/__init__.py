"""Grafana dashboards as typed code: what each panel asks, how it looks, and how it gets into Grafana."""
