"""What a run leaves in Postgres, and what of it is left when it is an archive.

    python -m bench.retention [--turns 200]

Starts a platform of its own; a turn is one scripted model call and one ``fs_read`` in a real container.
"""

import argparse
import json

import psycopg
from tests.behaviour.platform import wait_for

from bench.turns import scripted_runs

ENDED = b"SELECT FROM runs WHERE id = %(run)s AND ended_at IS NOT NULL"
ROWS = {
    "events": "SELECT coalesce(sum(pg_column_size(e)), 0) FROM run_events e WHERE run_id = %(run)s",
    "journal of calls": "SELECT coalesce(sum(pg_column_size(j)), 0) FROM journal j WHERE run_id = %(run)s",
    "step journal": "SELECT coalesce(sum(pg_column_size(o)), 0) FROM dbos.operation_outputs o WHERE starts_with(workflow_uuid, %(run)s)",
    "audit": "SELECT coalesce(sum(pg_column_size(a)), 0) FROM audit a WHERE run_id = %(run)s",
}


def measure(turns: int) -> dict[str, object]:
    with scripted_runs(1, turns) as (platform, url, run_ids):
        of_run = {"run": run_ids[0]}
        with psycopg.connect(url, autocommit=True) as connection:
            wait_for(lambda: connection.execute(ENDED, of_run).fetchone() is not None, "the end", 600)
            rows = {
                name: int(connection.execute(query.encode(), of_run).fetchone()[0])
                for name, query in ROWS.items()
            }
        swept = platform.command("retention", "run", "--after-days", "0", "--json")
    return {
        "turns": turns,
        "bytes of rows": rows,
        "in all": sum(rows.values()),
        "bytes of the archive": json.loads(swept.stdout)["archive_bytes"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=200)
    print(json.dumps(measure(parser.parse_args().turns), indent=1))
