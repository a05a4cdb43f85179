"""A subscriber as a process of its own, for a test to kill: ``python -m tests.publisher_process FOLDER URL SECRET``."""

import ssl
import sys
import threading
from pathlib import Path

from publishing.published import Selection
from publishing.settings import WebhookSettings
from publishing.subscriber import Subscriber
from publishing.webhook import WebhookChannel, signer


def main(folder: str, url: str, secret: str) -> None:
    """Tell one receiver until killed."""
    settings = WebhookSettings(name="epr", url=url, retry_s=0.05, retry_max_s=0.1)
    channel = WebhookChannel(settings, [signer(secret)], ssl.create_default_context())
    data_dir = Path(folder)
    Subscriber(settings, Selection(), channel, data_dir=data_dir, log=data_dir / "site-log.sqlite").start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
