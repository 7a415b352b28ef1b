"""``hypercode openapi``: print the API's OpenAPI document, for generated clients."""

import json

import typer

from hypercode.gateway.app import api_document


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API as JSON; needs no server and no database."""
    typer.echo(json.dumps(api_document(), indent=2, sort_keys=True))
