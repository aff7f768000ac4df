"""``context.log``: a real ``logging.Logger`` whose records become LOG events of the step.

Records also go on to the loggers that the job defines, or to the process's logger ``orchord.user``. What steps print is
compute_logs/, not here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from orchord.events import EventType
from orchord.execution.error_info import error_info
from orchord.execution.journal import Journal

USER_LOGGER = "orchord.user"

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_current: ContextVar[StepLogger | None] = ContextVar("orchord_step_logger", default=None)


class StepLogger(logging.Logger):
    """The logger of one attempt. It keeps every level; each logger that it feeds has a level of its own.

    Args:
        name: shown with each record: job and step.
        journal: where records become events.
        loggers: the job's own loggers; none means the process's ``orchord.user``.
    """

    def __init__(self, name: str, journal: Journal, loggers: Sequence[logging.Logger] = ()) -> None:
        super().__init__(name, logging.DEBUG)
        self._journal = journal
        self._loggers = tuple(loggers) or (logging.getLogger(USER_LOGGER),)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Whether a record of this level is kept: all are."""
        return True

    def handle(self, record: logging.LogRecord) -> None:
        """Turn a record into an event and pass it on."""
        data: dict[str, Any] = {"logger": record.name, "path": f"{record.pathname}:{record.lineno}"}
        extra = {key: _plain(value) for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
        if extra:
            data["extra"] = extra
        if record.exc_info and record.exc_info[1] is not None:
            data["error"] = error_info(record.exc_info[1], self._journal.masker).to_string()
        self._journal.add(EventType.LOG, _message(record), data, level=record.levelno)
        for logger in self._loggers:
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)


class _ForwardingHandler(logging.Handler):
    """Gives the records of a library's logger to the step that runs now."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = _current.get()
        if logger is not None:
            logger.handle(record)


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger whose records become LOG events of whichever step is running when they are made.

    Args:
        name: the logger's own name; it appears with each record.
    """
    logger = logging.getLogger(f"{USER_LOGGER}.{name}" if name else f"{USER_LOGGER}.code")
    if not any(isinstance(handler, _ForwardingHandler) for handler in logger.handlers):
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(_ForwardingHandler())
    return logger


def set_current(logger: StepLogger | None) -> Any:
    """Make this the logger of the running step; return what undoes it."""
    return _current.set(logger)


def reset_current(token: Any) -> None:
    """Undo ``set_current``."""
    _current.reset(token)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # logging prints such mistakes to stderr and goes on; the record still belongs in the log.
        return f"{record.msg} {record.args!r}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
