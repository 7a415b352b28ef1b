"""What the commands that are one process read before they start."""

from hypercode.domain.errors import InvalidArgument
from hypercode.settings import Settings
from hypercode.telemetry.logging import configure_logging


def process_settings() -> Settings:
    settings = Settings()
    configure_logging(settings.log_level)
    return settings


def database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise InvalidArgument(
            "This process needs a database.",
            hint="Set HYPERCODE_DATABASE_URL, or use `hypercode up`, which brings its own.",
        )
    return settings.database_url
