#!/usr/bin/env python3
"""Computes the vectors of agent/keys from the formats' descriptions, by other code than volcrypt's own: hashlib and hmac,
and the package "cryptography" for P-256, AES and scrypt. Run it in this folder; it writes the keys_*.json files beside it.
Everything is derived from fixed seeds, so a second run writes the same bytes."""
import base64, hashlib, hmac, json, struct, uuid
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.modes import CFB
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

H = lambda b: hashlib.sha256(b).digest()
b64 = lambda b: base64.b64encode(b).decode()


def canonical(label, *fields):
    out = b""
    for f in (label, *fields):
        if isinstance(f, int):
            f = struct.pack(">Q", f)
        elif isinstance(f, uuid.UUID):
            f = f.bytes
        elif isinstance(f, str):
            f = f.encode()
        out += struct.pack(">I", len(f)) + f
    return out


def key_of(seed):
    number = int.from_bytes(H(seed.encode()), "big") % (2**255) + 1
    private = ec.derive_private_key(number, ec.SECP256R1())
    scalar = number.to_bytes(32, "big")
    return private, scalar, private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def der_of(private):
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def b2(b):  # TPM2B
    return struct.pack(">H", len(b)) + b


CLUSTER = uuid.UUID("6f2c1b9a-4d3e-4f80-9a1b-0c2d4e6f8a01")
NODE = uuid.UUID("0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0")
GROUP = uuid.UUID("11111111-2222-4333-8444-555555555555")
VOLUME = uuid.UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
AUTHORITY, AUTHORITY_SCALAR, AUTHORITY_POINT = key_of("authority")
RECOVERY, RECOVERY_SCALAR, RECOVERY_POINT = key_of("recovery")
STORAGE, STORAGE_SCALAR, STORAGE_POINT = key_of("storage")

# --- public areas (TPM 2.0 Part 2, 12.2.4) and Names
tail = lambda p: bytes.fromhex("00030010") + b2(p[1:33]) + b2(p[33:65])
ecc_storage = lambda attr, pol, p: bytes.fromhex("0023000b" + attr) + b2(pol) + bytes.fromhex("0006008000430010") + tail(p)
ecc_sign = lambda attr, p: bytes.fromhex("0023000b" + attr + "0000" + "0010" + "0018000b") + tail(p)
rsa_storage = lambda attr, pol, n: (bytes.fromhex("0001000b" + attr) + b2(pol) + bytes.fromhex("0006008000430010" + "0800" + "00000000") + b2(n))
kek_area = lambda unique, pol: bytes.fromhex("0008000b00040c64") + b2(pol) + bytes.fromhex("0005000b") + b2(unique)
name = lambda area: b"\x00\x0b" + H(area)

# --- policies (TPM 2.0 Part 3, 23)
Z = bytes(32)
cc = lambda old, x: H(old + struct.pack(">II", 0x16C, x))
por = lambda *d: H(Z + struct.pack(">I", 0x171) + b"".join(d))
pcr = lambda old, bitmap, digest: H(old + struct.pack(">II", 0x17F, 1) + bytes.fromhex("000b03") + bitmap + digest)
dup = lambda parent: H(Z + struct.pack(">I", 0x188) + parent + b"\0")
authorize = lambda key, ref: H(H(Z + struct.pack(">I", 0x16A) + key) + ref)
CREATE, IMPORT, LOAD = 0x153, 0x156, 0x157

authority_area = ecc_sign("00040040", AUTHORITY_POINT)
kek_ref = H(canonical("volcrypt kek duplication v1", CLUSTER, 7))
node_ref = H(canonical("volcrypt node boot state v1", CLUSTER, NODE))
storage_policy = authorize(name(authority_area), node_ref)
kek_policy = authorize(name(authority_area), kek_ref)
modulus = b"".join(H(bytes([i])) for i in range(8))
pcr7 = H(b"pcr 7 value")
pcr14 = H(b"pcr 14 value")


def write_digests():
    write("keys_tpm_digests.json", {
        "cluster": str(CLUSTER), "node": str(NODE), "trust_epoch": 7,
        "authority_point": AUTHORITY_POINT.hex(), "authority_der": der_of(AUTHORITY).hex(),
        "authority_scalar": AUTHORITY_SCALAR.hex(),
        "authority_area": authority_area.hex(), "authority_name": name(authority_area).hex(),
        "recovery_point": RECOVERY_POINT.hex(),
        "recovery_area": ecc_storage("00030040", b"", RECOVERY_POINT).hex(),
        "recovery_name": name(ecc_storage("00030040", b"", RECOVERY_POINT)).hex(),
        "storage_point": STORAGE_POINT.hex(),
        "storage_area": ecc_storage("00030432", storage_policy, STORAGE_POINT).hex(),
        "modulus": modulus.hex(),
        "storage_rsa_area": rsa_storage("00030432", storage_policy, modulus).hex(),
        "attestation_area": ecc_sign("00050472", STORAGE_POINT).hex(),
        "kek_unique": H(b"unique").hex(), "kek_area": kek_area(H(b"unique"), kek_policy).hex(),
        "kek_reference": kek_ref.hex(), "node_reference": node_ref.hex(),
        "kek_policy": kek_policy.hex(), "storage_policy": storage_policy.hex(),
        # TPM facts, section 2: constant digest of form P0, seen on a TPM
        "or_create_load_import": "8b1b75c3c80bee06adbcbf1de4834d714f091b63fb04c9026cae1f400f428db6",
        "duplicate_to_recovery": dup(name(ecc_storage("00030040", b"", RECOVERY_POINT))).hex(),
        "pcr7_value": pcr7.hex(), "pcr14_value": pcr14.hex(),
        "pcr_7_load": cc(pcr(Z, b"\x80\0\0", H(pcr7)), LOAD).hex(),
        "pcr_7_14_create": cc(pcr(Z, b"\x80\x40\0", H(pcr7 + pcr14)), CREATE).hex(),
        "pcr_none_import": cc(Z, IMPORT).hex(),
    })
    assert por(cc(Z, CREATE), cc(Z, LOAD), cc(Z, IMPORT)).hex().startswith("8b1b75c3")


# --- DEK wrap (DESIGN.md section 3)
def aes_gcm(key, nonce, aad, plain):
    return AESGCM(key).encrypt(nonce, plain, aad)


def hkdf(key, info):  # RFC 5869, no salt, one block
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\x01", "sha256")


def group_key(kek, group, generation):
    return hmac.digest(kek, H(canonical("volcrypt dek group v1", CLUSTER, group, generation)), "sha256")


def token_aad(generation):  # dmtarget/token.cpp, authenticated_data
    return canonical("volcrypt token v1", "hkdf-sha256+aes-256-gcm", CLUSTER, GROUP, VOLUME, "data1", generation,
                     "aes-xts-plain64", 64, 4096, 16777216, "refused", "used", 0)


def dek_vector(seed, generation, dek, aad):
    kek = H(b"kek" + seed)
    g = group_key(kek, GROUP, generation)
    w = hkdf(g, canonical("volcrypt dek wrap v1", CLUSTER, VOLUME, generation))
    nonce = H(b"nonce" + seed)[:12]
    return {"kek": kek.hex(), "generation": generation, "group_digest":
            H(canonical("volcrypt dek group v1", CLUSTER, GROUP, generation)).hex(),
            "proof_digest": H(canonical("volcrypt kek proof v1", CLUSTER, generation, H(b"challenge"))).hex(),
            "group_key": g.hex(), "wrap_key": w.hex(), "dek": dek.hex(), "nonce": nonce.hex(),
            "wrapped_dek": aes_gcm(w, nonce, aad, dek).hex()}


def write_dek_wrap():
    deks = [H(b"dek 1") + H(b"dek 2"), bytes(64), b"\n" * 64, b"\xff" * 64]
    vectors = []
    for i, dek in enumerate(deks):
        generation = [1, 2, 255, 2**40][i]
        vectors.append(dek_vector(bytes([i]), generation, dek, token_aad(generation)))
    write("keys_dek_wrap.json", {"cluster": str(CLUSTER), "group": str(GROUP), "volume": str(VOLUME), "name": "data1",
                                 "challenge": H(b"challenge").hex(), "vectors": vectors})


# --- box (agent/keys/box.hpp)
def box(recipient_point, context, secret, seed):
    ephemeral, _, point = key_of("ephemeral " + seed)
    recipient = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient_point)
    key = hkdf(ephemeral.exchange(ec.ECDH(), recipient), canonical("volcrypt box v1", point, recipient_point, context))
    return point + aes_gcm(key, bytes(12), context, secret)


def write_box():
    context = canonical("volcrypt test", CLUSTER)
    write("keys_box.json", {"recipient_scalar": RECOVERY_SCALAR.hex(), "context": context.hex(), "secret": H(b"boxed").hex(),
                            "box": box(RECOVERY_POINT, context, H(b"boxed"), "box").hex()})


# --- recovery blobs (TPM 2.0 Part 1, "Protected Storage"; agent/keys/recovery.cpp)
def cfb(key, plain):
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def kdfa(key, label, context, size):
    data = struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", size * 8)
    return hmac.digest(key, data, "sha256")[:size]


def tpm_duplicate(kek, seed_value, inner_key, kek_name, auth):
    sensitive = bytes.fromhex("0008") + b2(auth) + b2(seed_value) + b2(kek)
    inner = cfb(inner_key, b2(H(b2(sensitive) + kek_name)) + b2(sensitive))
    ephemeral, _, point = key_of("duplicate" + kek.hex())
    z = ephemeral.exchange(ec.ECDH(), RECOVERY.public_key())
    seed = H(struct.pack(">I", 1) + z + b"DUPLICATE\0" + point[1:33] + RECOVERY_POINT[1:33])
    outer = cfb(kdfa(seed, b"STORAGE", kek_name, 16), inner)
    return b2(hmac.digest(kdfa(seed, b"INTEGRITY", b"", 32), outer + kek_name, "sha256")) + outer, b2(point[1:33]) + b2(point[33:])


def tpm_blob(generation, inner_size, auth):
    kek, seed_value = H(b"tpm kek %d" % generation), H(b"seed value %d" % generation)
    inner_key = H(b"inner %d" % generation)[:inner_size]
    area = kek_area(H(seed_value + kek), kek_policy)
    duplicate, seed = tpm_duplicate(kek, seed_value, inner_key, name(area), auth)
    context = canonical("volcrypt recovery inner key v1", CLUSTER, generation, name(area))
    return kek, {"generation": str(generation), "protection": "tpm", "name": b64(name(area)), "duplicate": b64(duplicate),
                 "public_area": b64(area), "seed": b64(seed),
                 "inner_key": b64(box(RECOVERY_POINT, context, inner_key, "inner %d" % generation))}


def software_blob(generation):
    kek = H(b"software kek %d" % generation)
    kek_name = b"\x00\x0b" + H(canonical("volcrypt kek name v1", CLUSTER, generation, kek))
    sealed = box(RECOVERY_POINT, canonical("volcrypt recovery software kek v1", CLUSTER, generation, kek_name), kek,
                 "software %d" % generation)
    return kek, {"generation": str(generation), "protection": "software", "name": b64(kek_name),
                 "duplicate": b64(sealed[65:]), "public_area": "", "seed": b64(sealed[:65]), "inner_key": ""}


def write_recovery():
    blobs = [tpm_blob(1, 16, bytes(32)), tpm_blob(2, 32, bytes(32)), tpm_blob(3, 32, b""), software_blob(4)]
    bundle = {"format": "volcrypt recovery bundle", "version": 1, "cluster": str(CLUSTER), "blobs": [b for _, b in blobs]}
    write("keys_recovery_bundle.json", bundle)
    write("keys_recovery.json", {"cluster": str(CLUSTER), "group": str(GROUP), "recovery_scalar": RECOVERY_SCALAR.hex(),
                                 "group_keys": [group_key(kek, GROUP, int(b["generation"])).hex() for kek, b in blobs]})


# --- admin key file (agent/keys/README.md)
def write_admin_key():
    passphrase = b"correct horse\nbattery staple"
    salt, nonce = H(b"admin salt"), H(b"admin nonce")[:12]
    key = hashlib.scrypt(passphrase, salt=salt, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    aad = canonical("volcrypt admin key v1", "recovery", CLUSTER, RECOVERY_POINT, salt)
    write("keys_recovery_key.json", {
        "format": "volcrypt admin key", "version": 1, "purpose": "recovery", "cluster": str(CLUSTER),
        "point": b64(RECOVERY_POINT), "kdf": {"name": "scrypt", "n": 2**17, "r": 8, "p": 1}, "salt": b64(salt),
        "nonce": b64(nonce), "sealed": b64(aes_gcm(key, nonce, aad, RECOVERY_SCALAR))})
    write("keys_admin.json", {"passphrase": passphrase.hex(), "point": RECOVERY_POINT.hex()})


# --- members: who may receive KEKs, a KEK on its way, the question to a newcomer (agent/keys/README.md)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def sign(scalar, message):  # ECDSA with SHA-256 (SEC 1, 4.1.3), the nonce derived so that a second run gives the same
    nonce, _, point = key_of("ecdsa" + message.hex())
    k, r = nonce.private_numbers().private_value, int.from_bytes(point[1:33], "big") % ORDER
    d, e = int.from_bytes(scalar, "big"), int.from_bytes(H(message), "big")
    return encode_dss_signature(r, pow(k, -1, ORDER) * (e + r * d) % ORDER)


def write_members():
    storage_area = ecc_storage("00030432", storage_policy, STORAGE_POINT)
    kek, nonce = H(b"travelling kek"), H(b"join nonce")
    kek_name = b"\x00\x0b" + H(canonical("volcrypt kek name v1", CLUSTER, 5, kek))
    context = canonical("volcrypt software kek transfer v1", CLUSTER, NODE, 5, 7, kek_name)
    write("keys_members.json", {
        "cluster": str(CLUSTER), "node": str(NODE), "group": str(GROUP), "trust_epoch": 7, "generation": 5,
        "authority_der": der_of(AUTHORITY).hex(),
        "storage_scalar": STORAGE_SCALAR.hex(), "storage_point": STORAGE_POINT.hex(), "storage_area": storage_area.hex(),
        "software_approval": sign(AUTHORITY_SCALAR, canonical("volcrypt software duplication approval v1", CLUSTER, 7,
                                                              STORAGE_POINT)).hex(),
        "tpm_approval": sign(AUTHORITY_SCALAR, dup(name(storage_area)) + kek_ref).hex(),
        "kek_name": kek_name.hex(), "transfer": box(STORAGE_POINT, context, kek, "transfer").hex(),
        "group_key": group_key(kek, GROUP, 5).hex(),
        "nonce": nonce.hex(), "join_secret": H(b"join secret").hex(),
        "join_box": box(STORAGE_POINT, canonical("volcrypt join challenge v1", nonce), H(b"join secret"), "join").hex(),
    })


def write(file, value):
    with open(file, "w") as out:
        json.dump(value, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    write_digests()
    write_dek_wrap()
    write_box()
    write_recovery()
    write_admin_key()
    write_members()
