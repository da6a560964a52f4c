"""Whether the server does what two documents say: its own /openapi.json, and that of the service whose clients call the
credits dialect.

Starts a server over a database of its own with demo data, and lets schemathesis send it valid and invalid requests.
WAYMARK_BINARY names the program; without it the debug build is taken. Arguments are passed on to schemathesis.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
BINARY = os.environ.get("WAYMARK_BINARY", HERE.parent.parent / "target/debug/waymark")
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"

sys.path.insert(0, str(HERE))
from hooks import ADDRESS, CREDITS  # noqa: E402


def link(url: str, admin: str) -> None:
    """Makes the wallet that signs a wallet of a person of the demo data."""
    mutation = "mutation($input: LinkAccountInput!) { linkAccount(input: $input) { userErrors { message } } }"
    account = {"platform": "ethereum", "id": ADDRESS}
    body = {"query": mutation, "variables": {"input": {"user": {"handle": "cleo"}, "account": account}}}
    headers = {"Content-Type": "application/json", "X-Api-Key": admin}
    request = urllib.request.Request(f"{url}/graphql", json.dumps(body).encode(), headers)
    answer = json.load(urllib.request.urlopen(request))
    assert answer.get("data", {}).get("linkAccount", {}).get("userErrors") == [], answer


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="waymark-openapi-") as directory:
        settings = {
            "PATH": os.environ["PATH"],
            "WAYMARK_DATABASE_URL": f"sqlite://{directory}/openapi.db",
            "WAYMARK_JWT_SECRET": "a secret of these tests, long enough for HS256",
            "WAYMARK_SIGNED_FETCH": "true",
            "WAYMARK_LISTEN": "127.0.0.1:0",
        }

        def waymark(*words: str) -> str:
            done = subprocess.run([BINARY, *words], env=settings, cwd=directory, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        waymark("migrate")
        waymark("demo")
        key = waymark("key", "create", "--name", "reader", "--scope", "progress:read")
        admin = waymark("key", "create", "--name", "operator", "--scope", "admin")
        token = waymark("token", "--user", "ada")
        server = subprocess.Popen([BINARY, "serve"], env=settings, cwd=directory, stderr=subprocess.PIPE, text=True)
        try:
            said = iter(server.stderr.readline, "")
            url = next(found[1] for line in said if (found := re.search(r"Serving on (http:\S+?)/?\s", line)))
            link(url, admin)
            shutil.copy(HERE / "schemathesis.toml", directory)
            environment = os.environ | {"WAYMARK_TOKEN": token, "WAYMARK_KEY": key, "SCHEMATHESIS_HOOKS": "hooks"}
            environment |= {"PYTHONPATH": str(HERE)}
            # Generated tests are the same in every run. A signature is added to what is sent, also where the credential
            # that the document names is missing; so the second turn cannot show what becomes of what is not signed.
            both, signed = ["--generation-deterministic", *sys.argv[1:]], {"WAYMARK_SIGN": "yes"}
            credits = ["--include-path", CREDITS, "--phases", "coverage,fuzzing"]
            credits += ["--exclude-checks", "ignored_auth,missing_required_header,negative_data_rejection"]
            codes = []
            for document in [str(HERE / "credits.json"), f"{url}/openapi.json"]:
                for more, options in [({}, []), (signed, credits)]:
                    command = [SCHEMATHESIS, "run", document, "--url", url, *both, *options]
                    codes.append(subprocess.run(command, env=environment | more, cwd=directory).returncode)
            return max(codes)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
