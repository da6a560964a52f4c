"""Clients in Python, unmodified: gql over each of its transports, and what ariadne-codegen makes of the served schema.

Called with the server's address, an API key, and a directory to write to.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport

url, key, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
headers = {"Authorization": f"Bearer {key}"}

PROFILE = """
query Profile($by: UserBy!) {
  user(by: $by) { id handle credits { available { credits micros } } games(first: 3) { nodes { id title } } }
}
mutation Grant($input: GrantCreditsInput!) {
  grantCredits(input: $input) { changes { events { number } } userErrors { code } }
}
"""
FOLLOW = gql('subscription { userProgress(user: { handle: "grace" }) { cursor number kind } }')
GRANT = gql("mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { changes { events { number } } } }")


def request(operation):
    document = gql(PROFILE)
    document.variable_values = {"by": {"handle": "grace"}, "input": {"user": {"handle": "grace"}, "amount": {"micros": 7}}}
    document.operation_name = operation
    return document


def check(result):
    assert result["user"]["handle"] == "grace" and len(result["user"]["games"]["nodes"]) == 3, result


def over_requests():
    transport = RequestsHTTPTransport(url=f"{url}/graphql", headers=headers)
    with Client(transport=transport, fetch_schema_from_transport=True) as session:
        check(session.execute(request("Profile")))
    with Client(transport=RequestsHTTPTransport(url=f"{url}/graphql", headers=headers)) as session:
        try:
            session.execute(gql("{ nothing }"))
        except TransportQueryError as error:
            assert error.errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED", error.errors
        else:
            raise AssertionError("it is refused")


async def over_aiohttp():
    transport = AIOHTTPTransport(url=f"{url}/graphql", headers=headers)
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        check(await session.execute(request("Profile")))


async def over_websockets():
    socket = f"{url.replace('http', 'ws')}/graphql"
    transport = WebsocketsTransport(url=socket, init_payload=headers)
    async with Client(transport=transport) as session:
        async def follow():
            async for result in session.subscribe(FOLLOW):
                return result["userProgress"]["number"]

        told = asyncio.create_task(follow())
        await asyncio.sleep(1)
        grant = await session.execute(request("Grant"))
        number = grant["grantCredits"]["changes"]["events"][0]["number"]
        assert await asyncio.wait_for(told, 20) == number


def generated():
    (directory / "queries.graphql").write_text(PROFILE)
    (directory / "pyproject.toml").write_text(
        f"""[tool.ariadne-codegen]
remote_schema_url = "{url}/graphql"
queries_path = "queries.graphql"
target_package_name = "made"
async_client = false
"""
    )
    program = Path(sys.executable).parent / "ariadne-codegen"
    subprocess.run([program], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    sys.path.insert(0, str(directory))
    from made import Client as Made
    from made.input_types import UserBy

    found = Made(url=f"{url}/graphql", headers=headers).profile(UserBy(handle="grace")).user
    assert found.handle == "grace" and len(found.games.nodes) == 3, found


over_requests()
asyncio.run(over_aiohttp())
asyncio.run(over_websockets())
generated()
