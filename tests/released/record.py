#!/usr/bin/env python3
"""Records what a released program keeps and answers, for the test that later programs take it over.

    record.py WAYMARK VERSION POSTGRES_URL

WAYMARK is the program of the release, VERSION what it is called, and POSTGRES_URL an empty database that `pg_dump`
can read. Makes `VERSION/` beside this file: `sqlite.sql` and `postgres.sql` with demo data of a few users, their
export, and the answers to the requests of `requests.json`.
"""

import gzip
import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).parent
CLOCK = "2026-06-17T12:00:00Z"
USERS = "8"


def answers(binary, directory):
    """What a server of the release answers, in the mode in which its clock can be set and which adds users of its own to
    `waymark-demo.db` of a directory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "WAYMARK_CLOCK": CLOCK,
        "WAYMARK_LISTEN": f"127.0.0.1:{port}",
        "WAYMARK_RATE_PER_SECOND": "0",
    }
    server = subprocess.Popen([binary], env=environment, cwd=directory, stderr=subprocess.PIPE, text=True)
    try:
        # The first credential that it prints is that of a user with a bit of everything.
        token = next(line.strip() for line in server.stderr if line.strip().startswith("eyJ"))
        for line in server.stderr:
            if "playground" in line:
                break
        found = {}
        for name, asked in json.loads((HERE / "requests.json").read_text()).items():
            body = json.dumps({"query": asked["query"]}).encode()
            headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", data=body, headers=headers)
            answer = json.load(urllib.request.urlopen(request))
            assert "errors" not in answer, (name, answer["errors"])
            found[name] = answer["data"]
        return found
    finally:
        server.terminate()
        server.wait()


def main(binary, version, postgres):
    out = HERE / version
    out.mkdir(exist_ok=True)

    def run(url, *arguments):
        environment = os.environ | {"WAYMARK_DATABASE_URL": url, "WAYMARK_CLOCK": CLOCK}
        return subprocess.run([binary, *arguments], env=environment, check=True, capture_output=True, text=True).stdout

    def keep(name, text):
        (out / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))

    with tempfile.TemporaryDirectory() as scratch:
        sqlite = f"sqlite://{scratch}/waymark-demo.db"
        for url in (sqlite, postgres):
            run(url, "migrate")
            run(url, "demo", "--users", USERS)
        keep("export.ndjson", run(sqlite, "export"))
        with sqlite3.connect(f"{scratch}/waymark-demo.db") as database:
            # A table that SQLite keeps for itself is filled by what fills the others.
            keep("sqlite.sql", "\n".join(line for line in database.iterdump() if "sqlite_sequence" not in line))
        (out / "answers.json").write_text(json.dumps(answers(binary, scratch), indent=1, sort_keys=True) + "\n")
    dump = ["pg_dump", "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=500", postgres]
    text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    # psql's own commands are nothing for a driver.
    keep("postgres.sql", "\n".join(line for line in text.splitlines() if not line.startswith("\\")))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
