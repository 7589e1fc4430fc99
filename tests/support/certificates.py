"""A self-signed certificate from nothing but Python, so that no private key is kept and no program needed."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from math import gcd, prod
from pathlib import Path

PRIME_BITS = 1024
EXPONENT = 65537
SMALL_PRIMES = prod(n for n in range(3, 2000) if all(n % d for d in range(2, int(n**0.5) + 1)))
MILLER_RABIN_ROUNDS = 8
DAY = 86_400.0  # seconds

SEQUENCE, SET, INTEGER, OCTETS, BITS, NULL, UTF8, UTC_TIME = 0x30, 0x31, 0x02, 0x04, 0x03, 0x05, 0x0C, 0x17
DNS_NAME, EXTENSIONS, VERSION = 0x82, 0xA3, 0xA0  # tags of their context
SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
RSA = bytes.fromhex("06092a864886f70d010101")
SHA256 = bytes.fromhex("0609608648016503040201")
COMMON_NAME = bytes.fromhex("0603550403")
ALTERNATIVE_NAME = bytes.fromhex("0603551d11")


def write_certificate(path: Path, name: str) -> str:
    """Write a key and a certificate for a host name, valid for a day, as PEM. Returns the certificate."""
    p, q = _prime(), _prime()
    n, d = p * q, pow(EXPONENT, -1, (p - 1) * (q - 1))
    numbers = (0, n, EXPONENT, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    key = _pem("RSA PRIVATE KEY", _der(SEQUENCE, *map(_integer, numbers)))
    subject = _der(SEQUENCE, _der(SET, _der(SEQUENCE, COMMON_NAME, _der(UTF8, name.encode()))))
    algorithm = _der(SEQUENCE, SHA256_WITH_RSA, _der(NULL))
    public_key = _der(SEQUENCE, _integer(n), _integer(EXPONENT))
    names = _der(SEQUENCE, _der(DNS_NAME, name.encode()))
    content = _der(
        SEQUENCE,
        _der(VERSION, _integer(2)),
        _integer(secrets.randbits(64)),
        algorithm,
        subject,
        _der(SEQUENCE, _time(time.time() - DAY), _time(time.time() + DAY)),
        subject,
        _der(SEQUENCE, _der(SEQUENCE, RSA, _der(NULL)), _der(BITS, b"\0", public_key)),
        _der(EXTENSIONS, _der(SEQUENCE, _der(SEQUENCE, ALTERNATIVE_NAME, _der(OCTETS, names)))),
    )
    certificate = _pem("CERTIFICATE", _der(SEQUENCE, content, algorithm, _der(BITS, b"\0", _sign(content, n, d))))
    path.write_text(key + certificate)
    return certificate


def _sign(content: bytes, n: int, d: int) -> bytes:
    """PKCS #1 v1.5."""
    digest = _der(OCTETS, hashlib.sha256(content).digest())
    info = _der(SEQUENCE, _der(SEQUENCE, SHA256, _der(NULL)), digest)
    length = (n.bit_length() + 7) // 8
    padded = b"\0\1" + b"\xff" * (length - len(info) - 3) + b"\0" + info
    return pow(int.from_bytes(padded), d, n).to_bytes(length)


def _prime() -> int:
    while True:
        candidate = secrets.randbits(PRIME_BITS) | 3 << (PRIME_BITS - 2) | 1
        if gcd(candidate, SMALL_PRIMES) == 1 and _is_prime(candidate) and (candidate - 1) % EXPONENT:
            return candidate


def _is_prime(n: int) -> bool:
    """Miller and Rabin."""
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    for _ in range(MILLER_RABIN_ROUNDS):
        x = pow(secrets.randbelow(n - 3) + 2, (n - 1) >> twos, n)
        if x in (1, n - 1):
            continue
        if not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 128 | size]) + length.to_bytes(size) + content


def _integer(n: int) -> bytes:
    return _der(INTEGER, n.to_bytes(n.bit_length() // 8 + 1))


def _time(seconds: float) -> bytes:
    return _der(UTC_TIME, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def _pem(label: str, content: bytes) -> str:
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"
