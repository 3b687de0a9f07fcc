"""Certificates that sign for themselves, and such as an authority signed."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])


def write_certificate(path: Path, host: str = "127.0.0.1") -> Path:
    """Write a key and a certificate for an address or a name that is its own authority, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(_private(key) + _sign(AUTHORITY, key, key, is_authority=True, host=host))
    return path


def write_issued_certificate(path: Path, authority: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 in one file, and the certificate of who signed it in the other.

    Some clients do not let an authority be a server at the same time.
    """
    key, authority_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
    path.write_bytes(_private(key) + _sign(server, key, authority_key, is_authority=False))
    authority.write_bytes(_sign(AUTHORITY, authority_key, authority_key, is_authority=True))
    return path


def _sign(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
    host: str = "127.0.0.1",
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(AUTHORITY, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
