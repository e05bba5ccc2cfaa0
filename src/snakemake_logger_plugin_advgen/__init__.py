"""What a run prints, as a logger plugin of Snakemake, which finds it by the name of this package."""

import logging
import sys
import traceback
from dataclasses import dataclass, field
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from advgen.driver.console import Console, Ticker


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The flags `--logger-advgen-…`."""

    plain: bool = field(
        default=False,
        metadata={"help": "Print what Snakemake itself prints: every job with its files, reason and command."},
    )


class LogHandler(LogHandlerBase):
    """Hands Snakemake's log records to the console.

    Snakemake prints by itself beside a handler that does not write to the stream: so with --logger-advgen-plain, and
    where somebody looks for a fault. The run is recorded for `advgen status` all the same.
    """

    needs_rulegraph = False
    writes_to_file = False
    has_filter = True
    has_formatter = True

    def __post_init__(self) -> None:
        logging.raiseExceptions = False  # else a full disk shows a traceback per line of Snakemake's log
        told = self.common_settings
        plain = self.settings is not None and self.settings.plain  # type: ignore[attr-defined]
        self._plain = bool(plain or told.verbose or told.debug_dag)
        self.console = Console(
            sys.stdout if told.stdout else sys.stderr,
            quiet=[choice.name.lower() for choice in told.quiet or ()],
            dryrun=told.dryrun,
            silent=self._plain,
            colour=not told.nocolor,
        )
        Ticker(self._tick).start()

    @property
    def writes_to_stream(self) -> bool:
        """Whether it prints."""
        return not self._plain

    def emit(self, record: LogRecord) -> None:
        """Print or note one record; a fault here must not end the run."""
        try:
            self.console.handle(record)
        except Exception:
            traceback.print_exc()

    def _tick(self) -> None:
        with self.lock:  # type: ignore[union-attr]
            self.console.tick()

    def close(self) -> None:
        """Say how the run ended."""
        with self.lock:  # type: ignore[union-attr]
            self.console.close()
        super().close()
