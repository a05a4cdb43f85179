"""What the fleet does with the logs of its sites: verify, publish, combine. Kafka is at the edge."""
