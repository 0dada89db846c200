# SPDX-License-Identifier: Apache-2.0
"""Client certificates, and that no session or connection crosses to a site with other rules."""
import pathlib
import ssl
import time

import pytest

import http1
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


# Who may resume where: of the same policy, and never with certificates of clients.
RESUMING = [{"p0.example", "p6.example"}, {"p5.example"}]


@pytest.mark.parametrize("versions,options", [(tls.ONLY_1_2, 0), (tls.ONLY_1_3, 0),
                                              (tls.ONLY_1_2, ssl.OP_NO_TICKET)],
                         ids=["1.2", "1.3", "1.2 by id"])
def test_no_session_and_no_connection_crosses_policies(ca, versions, options):
    config = "".join(site(name, settings) for name, settings in POLICIES.items())
    admitted, resumed_count, wrong = 0, 0, []
    with Weir(config, pki=ca.directory) as weir:
        for start in POLICIES:
            if versions == tls.ONLY_1_2 and start == "p5.example":
                continue
            own = tls.context(None, versions, certificate=certificate_for(ca, start))
            own.options |= options
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
                resumed_count += resumed
                needed = NEEDS.get(target)
                if needed is not None and needed != NEEDS.get(start):
                    wrong.append((start, target, resumed))
                if resumed and not any({start, target} <= group for group in RESUMING):
                    wrong.append((start, target, "resumed"))
    assert admitted > 20 and wrong == []
    assert resumed_count >= (2 if options else 1)


# ---- files that change ----------------------------------------------------------------------


@pytest.fixture
def changing(tmp_path):
    """Authorities of clients whose files a test may change."""
    made = pki.Authority("server authority")
    made.directory = tmp_path
    made.write(tmp_path, "a.example", file="shared")
    made.clients = pki.Authority("client authority")
    made.clients.write_self(tmp_path, "clients")
    made.others = pki.Authority("other authority")
    made.strange = made.others.write(tmp_path, "strange client", file="strange")
    made.certificate, key = made.clients.issue("good client")
    (tmp_path / "good.pem").write_bytes(made.certificate.public_bytes(pki.PEM))
    (tmp_path / "good.key").write_bytes(pki.key_pem(key))
    made.good = (str(tmp_path / "good.pem"), str(tmp_path / "good.key"))
    (tmp_path / "clients.crl").write_bytes(made.clients.revoke())
    made.config = (site("a.example", "client_ca=@pki/clients.pem client_crl=@pki/clients.crl")
                   + site("b.example", "client_ca=@pki/clients.pem"))
    return made


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("options", [0, ssl.OP_NO_TICKET], ids=["tickets", "ids"])
def test_a_new_list_revokes(changing, versions, options):
    made = tls.context(None, versions, certificate=changing.good)
    made.options |= options
    with Weir("workers 2\n" + changing.config, pki=changing.directory) as weir:
        with tls.TlsClient(weir, "a.example", made) as old:
            assert old.ask("/", host="a.example").status == 200
            session = old.sock.session
            (changing.directory / "clients.crl").write_bytes(
                changing.clients.revoke(changing.certificate))
            weir.wait_line("client_authorities_replaced")
            for again in (None, session):
                for _ in range(4):  # on every worker
                    with pytest.raises((ssl.SSLError, OSError, http1.Short)):
                        tls.ask(weir, "a.example", made=made, session=again)
            # Nobody revokes there, and a connection is not touched.
            assert tls.ask(weir, "b.example", made=made)[0].status == 200
            assert old.ask("/", host="a.example").status == 200
            assert old.ask("/", host="b.example").status == 421
        (changing.directory / "clients.crl").write_bytes(changing.clients.revoke())
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                assert tls.ask(weir, "a.example", made=made)[0].status == 200
                break
            except (ssl.SSLError, OSError, http1.Short):
                time.sleep(0.1)
        else:
            raise AssertionError("the list was not read again")


def test_new_authorities_are_trusted_and_old_ones_are_not(changing):
    good, strange = (tls.context(certificate=one) for one in (changing.good, changing.strange))
    with Weir(changing.config, pki=changing.directory) as weir:
        tls.refused(weir, "b.example", strange)
        with tls.TlsClient(weir, "b.example", good) as old:
            assert old.ask("/", host="b.example").status == 200
            changing.others.write_self(changing.directory, "fresh")
            (changing.directory / "fresh.pem").replace(changing.directory / "clients.pem")
            weir.wait_line("of b.example are verified with new")
            assert tls.ask(weir, "b.example", made=strange)[0].status == 200
            tls.refused(weir, "b.example", good)
            assert old.ask("/", host="b.example").status == 200


@pytest.mark.parametrize("name", ["clients.pem", "clients.crl"])
@pytest.mark.parametrize("text", [None, b"", b"garbage\n",
                                  b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                                  b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
                         ids=["missing", "empty", "garbage", "bad list", "bad certificate"])
def test_files_of_no_use_leave_the_last_good_ones(changing, name, text):
    good, strange = (tls.context(certificate=one) for one in (changing.good, changing.strange))
    path = changing.directory / name
    before = path.read_bytes()
    with Weir(changing.config, pki=changing.directory) as weir:
        path.unlink()
        if text is not None:
            path.write_bytes(text)
        line = weir.wait_line("client_authorities_refused")
        assert str(path) in line and "a.example" in line
        assert tls.ask(weir, "a.example", made=good)[0].status == 200
        tls.refused(weir, "a.example", strange)
        tls.refused(weir, "a.example")
        path.write_bytes(before + b"\n")
        weir.wait_line("of a.example are verified with new")
        assert tls.ask(weir, "a.example", made=good)[0].status == 200
        assert weir.output.count("the clients of a.example are verified as before") == 1


def test_a_list_does_not_wait_for_a_certificate(changing):
    made = tls.context(certificate=changing.good)
    with Weir(changing.config, pki=changing.directory) as weir:
        (changing.directory / "shared.pem").write_text("broken")
        weir.wait_line("certificate_refused")
        (changing.directory / "clients.crl").write_bytes(
            changing.clients.revoke(changing.certificate))
        weir.wait_line("client_authorities_replaced")
        tls.refused(weir, "a.example", made)


# ---- authorities below others ---------------------------------------------------------------


@pytest.fixture
def below(tmp_path):
    """A client whose authority is vouched for by another, of which alone weir knows."""
    made = pki.Authority("server authority")
    made.directory = tmp_path
    made.write(tmp_path, "a.example", file="shared")
    made.root = pki.Authority("root")
    made.root.write_self(tmp_path, "clients")
    made.middle = pki.Authority("middle", parent=made.root)
    made.client, key = made.middle.issue("client")
    (tmp_path / "client.pem").write_bytes(made.middle.chain(made.client))
    (tmp_path / "client.key").write_bytes(pki.key_pem(key))
    made.shown = (str(tmp_path / "client.pem"), str(tmp_path / "client.key"))
    made.config = site("a.example", "client_ca=@pki/clients.pem client_crl=@pki/clients.crl")
    return made


def lists_of(below, *names):
    everything = {
        "middle": below.middle.revoke(),
        "middle, client": below.middle.revoke(below.client),
        "middle, old": below.middle.revoke(days=-1),
        "root": below.root.revoke(),
        "root, middle": below.root.revoke(below.middle.certificate),
        "root, old": below.root.revoke(days=-1),
    }
    return b"".join(everything[name] for name in names)


@pytest.mark.parametrize("names,is_let_in", [
    (("middle",), True), (("middle", "root"), True), (("root", "middle"), True),
    (("middle, client", "root"), False), (("middle", "root, middle"), False),
    (("root",), False),  # nobody knows whom the client's own authority has revoked
    (("middle, old", "root"), False), (("middle", "root, old"), False)],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "")
def test_lists_of_every_authority_count(below, names, is_let_in):
    (below.directory / "clients.crl").write_bytes(lists_of(below, *names))
    with Weir(below.config, pki=below.directory) as weir:
        made = tls.context(certificate=below.shown)
        if not is_let_in:
            tls.refused(weir, "a.example", made)
        else:
            answer = tls.ask(weir, "a.example", made=made)[0]
            assert answer.body.startswith(b"a.example|verified|CN=client|")


def test_a_list_that_has_ended_is_told_of(below):
    (below.directory / "clients.crl").write_bytes(lists_of(below, "middle, old"))
    config = below.config.replace("@listen", "127.0.0.1:1").replace("@pki", str(below.directory))
    said = program.run("check", "@config", config=config)
    assert said.returncode == 0 and "W0511" in said.stdout + said.stderr
    with Weir(below.config, pki=below.directory) as weir:
        assert "clients.crl has ended at" in weir.wait_line("client_revocations_ended")
        (below.directory / "clients.crl").write_bytes(lists_of(below, "middle"))
        weir.wait_line("client_authorities_replaced")
        assert tls.ask(weir, "a.example", made=tls.context(certificate=below.shown))[0].status == 200
