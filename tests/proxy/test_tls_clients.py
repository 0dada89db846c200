# SPDX-License-Identifier: Apache-2.0
"""Client certificates, and that no session or connection crosses to a site with other rules."""
import pathlib
import ssl

import pytest

import pki
import tls
import weir as program
from weir import Weir

SITE = """
site %s {
    listen @listen
    tls @pki/%s.pem key=@pki/%s.key %s
    respond 200 "%s|{tls.client_verified}|{tls.client_name}|{tls.client_fingerprint}"
}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    made = pki.Authority("server authority")
    made.directory = tmp_path_factory.mktemp("pki")
    made.write(made.directory, "a.example", file="shared")
    made.clients = pki.Authority("client authority")
    made.clients.write_self(made.directory, "clients")
    made.others = pki.Authority("other authority")
    made.others.write_self(made.directory, "others")
    made.good = made.clients.write(made.directory, "good client", file="good")
    made.strange = made.others.write(made.directory, "strange client", file="strange")
    made.expired = made.clients.write(made.directory, "old client", file="old", days=-1, began=-9)
    revoked, key = made.clients.issue("revoked client")
    made.revoked = (str(made.directory / "revoked.pem"), str(made.directory / "revoked.key"))
    pathlib.Path(made.revoked[0]).write_bytes(revoked.public_bytes(pki.PEM))
    pathlib.Path(made.revoked[1]).write_bytes(pki.key_pem(key))
    (made.directory / "clients.crl").write_bytes(made.clients.revoke(revoked))
    return made


def site(name, options, certificate="shared"):
    return SITE % (name, certificate, certificate, options, name)


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3])
def test_a_certificate_is_required(ca, versions):
    config = site("a.example", "client_ca=@pki/clients.pem client_crl=@pki/clients.crl")
    with Weir(config, pki=ca.directory) as weir:
        for bad in (None, ca.strange, ca.expired, ca.revoked):
            tls.refused(weir, "a.example", tls.context(None, versions, certificate=bad))
        answer, _, _ = tls.ask(weir, "a.example",
                               made=tls.context(None, versions, certificate=ca.good))
        _, verified, name, fingerprint = answer.body.decode().split("|")
        assert (verified, name) == ("verified", "CN=good client")
        der = ssl.PEM_cert_to_DER_cert(pathlib.Path(ca.good[0]).read_text())
        import hashlib
        assert fingerprint == hashlib.sha256(der).hexdigest()


def test_a_certificate_is_requested(ca):
    config = site("a.example", "client_ca=@pki/clients.pem client_mode=request")
    with Weir(config, pki=ca.directory) as weir:
        assert tls.ask(weir, "a.example")[0].body == b"a.example|none||"
        answer, _, _ = tls.ask(weir, "a.example", made=tls.context(certificate=ca.good))
        assert b"|verified|CN=good client|" in answer.body
        tls.refused(weir, "a.example", tls.context(certificate=ca.strange))


def test_the_server_is_told_and_clients_cannot_pretend(ca, origin):
    config = """
    site a.example {
        listen @listen
        tls @pki/shared.pem key=@pki/shared.key client_ca=@pki/clients.pem client_mode=request
        header set X-Client {tls.client_name} on=request
        header set X-Verified {tls.client_verified} on=request
        proxy @app
    }
    """
    with Weir(config, pki=ca.directory, app=origin) as weir:
        fake = [("X-Client", "CN=good client"), ("X-Verified", "verified")]
        tls.ask(weir, "a.example", fields=fake)
        assert origin.requests[-1].get("x-client") in (None, "")
        assert origin.requests[-1].get("x-verified") == "none"
        tls.ask(weir, "a.example", made=tls.context(certificate=ca.good), fields=fake)
        assert origin.requests[-1].get("x-client") == "CN=good client"
        assert origin.requests[-1].get("x-verified") == "verified"


@pytest.mark.parametrize("text", [None, b"", b"garbage\n",
                                  b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
@pytest.mark.parametrize("option", ["client_ca", "client_crl"])
def test_authorities_that_cannot_be_read_refuse_the_start(ca, tmp_path, text, option):
    path = tmp_path / "list.pem"
    if text is not None:
        path.write_bytes(text)
    other = "" if option == "client_ca" else f"client_ca={ca.directory}/clients.pem "
    config = program.expand(site("a.example", f"{other}{option}={path}"),
                            {"pki": ca.directory, "listen": "127.0.0.1:1"})
    result = program.run("check", "@config", config=config)
    assert result.returncode != 0 and str(path) in result.stdout + result.stderr


# Eight policies that share one certificate, so that nothing but the policy keeps them apart.
POLICIES = {
    "p0.example": "",
    "p1.example": "client_ca=@pki/clients.pem",
    "p2.example": "client_ca=@pki/others.pem",
    "p3.example": "client_ca=@pki/clients.pem client_mode=request",
    "p4.example": "client_ca=@pki/clients.pem client_crl=@pki/clients.crl",
    "p5.example": "min_version=1.3",
    "p6.example": "session_tickets=off",
    "p7.example": "client_ca=@pki/others.pem client_mode=request",
}
NEEDS = {"p1.example": "good", "p4.example": "good", "p2.example": "strange"}


def certificate_for(ca, name):
    return getattr(ca, NEEDS[name]) if name in NEEDS else None


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3], ids=["1.2", "1.3"])
def test_no_session_and_no_connection_crosses_policies(ca, versions):
    config = "".join(site(name, options) for name, options in POLICIES.items())
    admitted, wrong = 0, []
    with Weir(config, pki=ca.directory) as weir:
        for start in POLICIES:
            if versions == tls.ONLY_1_2 and start == "p5.example":
                continue
            own = tls.context(None, versions, certificate=certificate_for(ca, start))
            answer, session, _ = tls.ask(weir, start, made=own)
            assert answer.status == 200
            for target in POLICIES:
                # The same connection, the other site's host.
                answer, _, _ = tls.ask(weir, start, made=own, host=target)
                same = target == start or {start, target} <= {"p0.example", "p6.example"}
                assert answer.status == (200 if same else 421), (start, target)
                # The session, resumed under the other site's name, with the certificate that the
                # first site wanted and without any.
                try:
                    answer, _, resumed = tls.ask(weir, target, made=own, session=session)
                except (ssl.SSLError, OSError, Exception) as error:  # noqa: B014
                    assert not isinstance(error, AssertionError)
                    continue
                admitted += 1
                needed = NEEDS.get(target)
                if needed is not None and needed != NEEDS.get(start):
                    wrong.append((start, target, resumed))
                if resumed and not same:
                    wrong.append((start, target, "resumed"))
    assert admitted > 20 and wrong == []
