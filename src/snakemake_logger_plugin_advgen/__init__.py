"""The entry point of Snakemake's logger plug-in `advgen`, which Snakemake finds by the name of this package."""

import logging
import sys
import traceback
from dataclasses import dataclass, field
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from advgen.driver.console import Console, Ticker
from advgen.driver.snakemake_adapter import console_options, prints_itself


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The options `--logger-advgen-…`."""

    plain: bool = field(
        default=False,
        metadata={"help": "Print Snakemake's own output: every job with its files, reason and command."},
    )


class LogHandler(LogHandlerBase):
    """Passes Snakemake's log records to the console.

    With `--logger-advgen-plain`, `--verbose` or `--debug-dag` Snakemake prints its own output, and the console only
    writes the run record for `advgen status`.
    """

    needs_rulegraph = False
    writes_to_file = False
    has_filter = True
    has_formatter = True

    def __post_init__(self) -> None:
        logging.raiseExceptions = False  # a full disk would show a traceback per line of Snakemake's log
        settings = self.common_settings
        plain = self.settings is not None and self.settings.plain  # type: ignore[attr-defined]
        self._plain = bool(plain or prints_itself(settings))
        stream = sys.stdout if settings.stdout else sys.stderr
        self.console = Console(stream, silent=self._plain, **console_options(settings))
        Ticker(self._tick).start()

    @property
    def writes_to_stream(self) -> bool:
        """Whether the console prints; otherwise Snakemake does."""
        return not self._plain

    def emit(self, record: LogRecord) -> None:
        """Print one record; an error here must not end the run."""
        try:
            self.console.handle(record)
        except Exception:
            traceback.print_exc()

    def _tick(self) -> None:
        with self.lock:  # type: ignore[union-attr]
            self.console.tick()

    def close(self) -> None:
        """Print the summary."""
        with self.lock:  # type: ignore[union-attr]
            self.console.close()
        super().close()
