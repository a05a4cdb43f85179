"""How this process logs: structlog fields for whoever reads them; libraries only from WARNING up."""

import logging
import sys
import threading
from typing import Final

import structlog

_QUIET: Final = ("pydicom", "pynetdicom")
"""Libraries whose messages quote data sets, and so patients: they never reach a log."""

_CHATTY: Final = ("kafka", "aiokafka")
"""They say each try of a broker that is away, many a second; what matters they raise, and we say it once."""


def configure(*, as_json: bool | None = None, quiet: bool = False) -> None:
    """Log to standard error: JSON lines for programs, plain columns for a terminal; `quiet`: errors alone."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line and its end are one write
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    threading.excepthook = _thread_ended
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL)


def _thread_ended(failure: threading.ExceptHookArgs) -> None:
    """Say which thread ended and why by type alone: a traceback may quote what a peer sent."""
    thread = failure.thread.name if failure.thread else "unknown"
    structlog.get_logger("bonewatch").error("thread_failed", thread=thread, error=failure.exc_type.__name__)
