# SPDX-License-Identifier: Apache-2.0
"""Authorities, certificates and revocation lists for tests.

    ca = Authority("test")
    chain, key = ca.write(directory, "a.example", days=30)
"""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


def new_key(kind="ec"):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "odd":  # a curve that TLS 1.3 does not have
        return ec.generate_private_key(ec.SECP256K1())
    return ec.generate_private_key(ec.SECP256R1())


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_pem(key, password=None):
    sealed = (serialization.BestAvailableEncryption(password) if password
              else serialization.NoEncryption())
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, sealed)


class Authority:
    def __init__(self, name, parent=None, depth=None):
        self.name = name
        self.key = new_key()
        self.parent = parent
        now = datetime.datetime.utcnow()
        signer = parent or self
        builder = (x509.CertificateBuilder().subject_name(name_of(name))
                   .issuer_name(name_of(signer.name)).public_key(self.key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=400))
                   .not_valid_after(now + datetime.timedelta(days=400))
                   .add_extension(x509.BasicConstraints(True, depth), True)
                   .add_extension(x509.KeyUsage(False, False, False, False, False, True, True,
                                                False, False), True))
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @property
    def pem(self):
        return self.certificate.public_bytes(PEM)

    def issue(self, *names, days=30, began=-1, kind="ec", aia=False,
              responder=None, common=None):
        """-> certificate, key"""
        key = new_key(kind)
        now = datetime.datetime.utcnow()
        alternatives = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        builder = (x509.CertificateBuilder().subject_name(name_of(common or names[0]))
                   .issuer_name(self.certificate.subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=began))
                   .not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(False, None), True)
                   .add_extension(x509.SubjectAlternativeName(alternatives), False)
                   .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                                         ExtendedKeyUsageOID.CLIENT_AUTH]), False))
        access = []
        if aia:
            where = x509.UniformResourceIdentifier("http://issuer.example/ca.der")
            access.append(x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, where))
        if responder:
            where = x509.UniformResourceIdentifier(responder)
            access.append(x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, where))
        if access:
            builder = builder.add_extension(x509.AuthorityInformationAccess(access), False)
        return builder.sign(self.key, hashes.SHA256()), key

    def chain(self, certificate):
        text = certificate.public_bytes(PEM)
        above = self
        while above.parent is not None:
            text += above.pem
            above = above.parent
        return text

    def write(self, directory, *names, file=None, **options):
        """Writes FILE.pem and FILE.key; -> their paths."""
        certificate, key = self.issue(*names, **options)
        base = pathlib.Path(directory) / (file or names[0].replace("*", "any"))
        chain_file, key_file = pathlib.Path(f"{base}.pem"), pathlib.Path(f"{base}.key")
        chain_file.write_bytes(self.chain(certificate))
        key_file.write_bytes(key_pem(key))
        return str(chain_file), str(key_file)

    def write_self(self, directory, file="ca"):
        path = pathlib.Path(directory) / f"{file}.pem"
        path.write_bytes(self.pem)
        return str(path)

    def status(self, certificate, state="good", began=-1, days=7, signer=None):
        """What the authority says of one that it has issued (OCSP), as DER."""
        now = datetime.datetime.utcnow()
        is_revoked = state == "revoked"
        signer = signer or self
        return (ocsp.OCSPResponseBuilder().add_response(
            cert=certificate, issuer=self.certificate, algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus[state.upper()],
            this_update=now + datetime.timedelta(days=began),
            next_update=now + datetime.timedelta(days=days),
            revocation_time=now - datetime.timedelta(days=1) if is_revoked else None,
            revocation_reason=x509.ReasonFlags.unspecified if is_revoked else None)
            .responder_id(ocsp.OCSPResponderEncoding.NAME, signer.certificate)
            .sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))

    def revoke(self, *certificates, days=30):
        """A revocation list as PEM."""
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
                   .last_update(now - datetime.timedelta(days=9))
                   .next_update(now + datetime.timedelta(days=days)))
        for certificate in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
                .revocation_date(now - datetime.timedelta(hours=1)).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)
