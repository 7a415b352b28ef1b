"""What the commands that are one process read before they start."""

from hypercode.domain.errors import InvalidArgument
from hypercode.settings import Settings
from hypercode.telemetry.logging import configure_logging
from hypercode.telemetry.tracing import configure_tracing


def process_settings(process: str | None = None) -> Settings:
    """Read the settings, and begin to log and, for a process that works on requests, to trace."""
    settings = Settings()
    configure_logging(settings.log_level)
    if process is not None:
        configure_tracing(settings.otlp_endpoint, process)
    return settings


def database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise InvalidArgument(
            "This process needs a database.",
            hint="Set HYPERCODE_DATABASE_URL, or use `hypercode up`, which brings its own.",
        )
    return settings.database_url
