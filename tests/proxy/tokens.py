# SPDX-License-Identifier: Apache-2.0
"""Makes tokens and key sets, good ones and bad ones."""
import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SECRET = b"a secret that has more than thirty-two bytes: sixty-four of them, or more"
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
SIZES = {"ES256": 32, "ES384": 48, "ES512": 66}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def make_keys():
    return {
        "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


KEYS = make_keys()


def key_of(algorithm):
    return KEYS["RSA" if algorithm[:2] in ("RS", "PS") else algorithm]


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key, kid=None, **more):
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = public.public_numbers()
        made = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = public.public_numbers()
        size = (public.key_size + 7) // 8
        made = {"kty": "EC", "crv": f"P-{public.key_size}", "x": number(numbers.x, size),
                "y": number(numbers.y, size)}
    else:
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        made = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    return {**made, **({"kid": kid} if kid else {}), **more}


def jwks(*keys):
    return json.dumps({"keys": list(keys)})


def sign(algorithm, text, key=None):
    if algorithm.startswith("HS"):
        return hmac.new(key or SECRET, text, "sha" + algorithm[2:]).digest()
    key = key or key_of(algorithm)
    if algorithm == "EdDSA":
        return key.sign(text)
    digest = HASHES[algorithm[2:]]()
    if algorithm.startswith("RS"):
        return key.sign(text, padding.PKCS1v15(), digest)
    if algorithm.startswith("PS"):
        return key.sign(text, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(digest)))
    size = SIZES[algorithm]
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def claims(**more):
    now = int(time.time())
    made = {"sub": "alice", "iss": "https://id.example", "aud": "app", "iat": now, "exp": now + 86400}
    made.update(more)
    return {name: value for name, value in made.items() if value is not None}


def text_token(header, payload, signer, key=None):
    """From texts as they are, for what no library would make."""
    signed = f"{b64(header.encode())}.{b64(payload.encode())}"
    return f"{signed}.{b64(sign(signer, signed.encode(), key))}"


def token(algorithm="ES256", payload=None, header=None, key=None):
    head = {"alg": algorithm, "typ": "JWT"}
    head.update(header or {})
    head = {name: value for name, value in head.items() if value is not None}
    return text_token(json.dumps(head), json.dumps(claims() if payload is None else payload),
                      algorithm, key)


def fingerprint(text):
    return hashlib.sha256(text.encode()).hexdigest()
