"""What delivers alerts as a process of its own, for a test to kill: ``python -m tests.alert_process FOLDER URL``."""

import sys
import threading
from datetime import timedelta
from pathlib import Path

from alerts.channels import AppriseChannel
from alerts.deliverer import Deliverer
from alerts.links import Links
from alerts.queue import Queue
from alerts.settings import DeliverySettings


def main(folder: str, url: str) -> None:
    """Deliver what is queued by one channel until killed."""
    channels = {"mail": AppriseChannel(url, timeout_s=5.0)}
    settings = DeliverySettings(retry_s=0.1, retry_max_s=0.2)
    links = Links("a secret of the test", "", timedelta(hours=1))
    Deliverer(Queue(Path(folder)), channels, {}, settings, links).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
