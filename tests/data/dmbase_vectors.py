#!/usr/bin/env python3
# Computes dmbase_canonical.json and dmbase_tokens.json again, from the description of the formats and not from our
# code: run `tests/data/dmbase_vectors.py DIRECTORY`. A change in its output is a change of format on the drives.
import base64
import hashlib
import json
import pathlib
import struct
import sys
import uuid


def canonical(fields):
    out = b""
    for field in fields:
        if isinstance(field, int):
            field = struct.pack(">Q", field)
        elif isinstance(field, str):
            field = field.encode()
        out += struct.pack(">I", len(field)) + field
    return out


def canonical_case(name, fields):
    encoded = canonical(fields)
    shown = [{"number": str(f)} if isinstance(f, int) else {"text": f} if isinstance(f, str) else {"hex": f.hex()} for f in fields]
    return {"name": name, "fields": shown, "encoded": encoded.hex(), "sha256": hashlib.sha256(encoded).hexdigest()}


def token_case(title, **change):
    t = {
        "cluster": "7c6b1f0e-94a3-4b1c-8e55-0d7a1c5f2b10", "group": "11111111-2222-4333-8444-555555555555",
        "volume": "0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4", "name": "data1", "generation": 3,
        "nonce": bytes(range(12)), "wrapped": bytes(range(80)), "cipher": "aes-xts-plain64", "key_bytes": 64,
        "sector_size": 4096, "data_offset": 16777216, "discards": "refused", "workqueues": "used", "reencrypting": False,
    } | change
    algorithm = "hkdf-sha256+aes-256-gcm"
    document = {
        "type": "volcrypt", "keyslots": [], "version": 1, "cluster": t["cluster"], "group": t["group"],
        "volume": t["volume"], "name": t["name"], "generation": str(t["generation"]), "algorithm": algorithm,
        "nonce": base64.b64encode(t["nonce"]).decode(), "wrapped_dek": base64.b64encode(t["wrapped"]).decode(),
        "description": {
            "cipher": t["cipher"], "key_bytes": t["key_bytes"], "sector_size": t["sector_size"],
            "data_offset": str(t["data_offset"]), "discards": t["discards"], "workqueues": t["workqueues"],
            "reencrypting": t["reencrypting"],
        },
    }
    aad = canonical([
        "volcrypt token v1", algorithm, uuid.UUID(t["cluster"]).bytes, uuid.UUID(t["group"]).bytes,
        uuid.UUID(t["volume"]).bytes, t["name"], t["generation"], t["cipher"], t["key_bytes"], t["sector_size"],
        t["data_offset"], t["discards"], t["workqueues"], int(t["reencrypting"]),
    ])
    return {"name": title, "json": json.dumps(document, separators=(",", ":")), "authenticated_data": aad.hex()}


def main():
    target = pathlib.Path(sys.argv[1])
    canonical_cases = [
        canonical_case("a label alone", ["volcrypt dek group v1"]),
        canonical_case("text, UUID and number", ["volcrypt dek group v1", uuid.UUID("7c6b1f0e-94a3-4b1c-8e55-0d7a1c5f2b10").bytes, 3]),
        canonical_case("an empty field", ["volcrypt test v1", ""]),
        canonical_case("ab then c", ["volcrypt test v1", "ab", "c"]),
        canonical_case("a then bc", ["volcrypt test v1", "a", "bc"]),
        canonical_case("largest number", ["volcrypt test v1", 2**64 - 1]),
        canonical_case("zeros and line feeds", ["volcrypt test v1", b"\x00\x0a\x00"]),
    ]
    token_cases = [
        token_case("the usual token"),
        token_case("discards passed down, workqueues bypassed, small sectors", discards="passed_down", workqueues="bypassed", sector_size=512),
        token_case("largest generation and offset, longest name", generation=2**64 - 1, data_offset=2**64 - 1, name="A" + "b" * 36 + "9"),
        token_case("bytes of all ones", nonce=b"\xff" * 12, wrapped=b"\xff" * 80),
        token_case("zeros and line feeds in the wrapped key", wrapped=b"\x00\x0a" * 40),
    ]
    (target / "dmbase_canonical.json").write_text(json.dumps({"cases": canonical_cases}, indent=1) + "\n")
    (target / "dmbase_tokens.json").write_text(json.dumps({"cases": token_cases}, indent=1) + "\n")


main()
