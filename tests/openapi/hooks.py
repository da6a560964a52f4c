"""What requests need that no document can say: signatures, and things that are there."""

import json
import random
import time

import schemathesis
from eth_hash.auto import keccak
from eth_keys import keys

WALLET = keys.PrivateKey((7).to_bytes(32, "big"))
ADDRESS = WALLET.public_key.to_address()
CREDITS = "/users/{address}/progress"
# Of the demo data: the instances of ada, and resources of their plan.
INSTANCES = ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"]
RESOURCES = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"]


def signature(text: str) -> str:
    message = f"\x19Ethereum Signed Message:\n{len(text.encode())}{text}".encode()
    signed = WALLET.sign_msg_hash(keccak(message))
    return f"0x{signed.r:064x}{signed.s:064x}{27 + signed.v:02x}"


def signed(method: str, path: str) -> dict[str, str]:
    """The headers of a signed request of the wallet."""
    now = str(int(time.time() * 1000))
    text = f"{method.lower()}:{path.lower()}:{now}:{{}}"
    links = [
        {"type": "SIGNER", "payload": ADDRESS, "signature": ""},
        {"type": "ECDSA_SIGNED_ENTITY", "payload": text, "signature": signature(text)},
    ]
    chain = {f"x-identity-auth-chain-{place}": json.dumps(link) for place, link in enumerate(links)}
    return chain | {"x-identity-timestamp": now, "x-identity-metadata": "{}"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Signs most requests of the credits dialect, and asks half of them about the wallet's own user."""
    if case.operation.path == CREDITS and random.random() < 0.8:
        if random.random() < 0.5 and case.method == "GET" and "address" in case.path_parameters:
            if case.meta is None or case.meta.generation.mode.is_positive:
                case.path_parameters["address"] = ADDRESS
        case.headers.update(signed(case.method, case.formatted_path))


@schemathesis.hook
def map_body(context, body):
    """Names instances and resources that are there, where others would do as well."""
    if isinstance(body, dict) and "instanceId" in body and context.operation.path == "/api/user-progress":
        known = isinstance(body["instanceId"], str) and len(body["instanceId"]) == 24
        if known and random.random() < 0.7:
            return body | {"instanceId": random.choice(INSTANCES), "resourceId": random.choice(RESOURCES)}
    return body
