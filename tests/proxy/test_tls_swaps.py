# SPDX-License-Identifier: Apache-2.0
"""Certificates change while clients shake hands, resume and ask: nobody notices."""
import os
import threading
import time

import pytest

import patience
import pki
import tls
from weir import Weir

SITES = 20


class Crowd:
    """Clients that come and go, and some that stay; what went wrong."""

    def __init__(self, weir, authority_file, names):
        self.weir, self.names = weir, names
        self.made = tls.context(authority_file)
        self.wrong, self.seen = [], set()
        self.handshakes = self.requests = self.resumed = 0
        self.lock = threading.Lock()
        self.is_over = False

    def note(self, name, client, answer):
        serial = client.sock.getpeercert()["serialNumber"]
        with self.lock:
            self.requests += 1
            self.seen.add((name, serial))
            if answer.status != 200 or answer.body != name.encode():
                self.wrong.append(f"{name}: {answer}")

    def come_and_go(self, offset):
        sessions = {}
        number = offset
        while not self.is_over:
            name = self.names[number % len(self.names)]
            number += 1
            try:
                with tls.TlsClient(self.weir, name, self.made,
                                   sessions.get(name) if number % 3 == 0 else None) as client:
                    answer = client.ask("/", host=name)
                    sessions[name] = client.sock.session
                    self.note(name, client, answer)
                    with self.lock:
                        self.handshakes += 1
                        self.resumed += client.sock.session_reused
            except Exception as error:
                with self.lock:
                    self.wrong.append(f"{name}: {type(error).__name__} {error}")

    def stay(self, name):
        try:
            with tls.TlsClient(self.weir, name, self.made) as client:
                while not self.is_over:
                    self.note(name, client, client.ask("/", host=name))
                    time.sleep(0.01)
        except Exception as error:
            with self.lock:
                self.wrong.append(f"{name} (stays): {type(error).__name__} {error}")


def swap(directory, rounds):
    """Every round gives every site a new certificate; weir looks once a second."""
    authority = pki.Authority("authority")
    file = authority.write_self(directory)
    names = [f"s{number}.example" for number in range(SITES)]

    def write(name, number):
        certificate, key = authority.issue(name)
        together = authority.chain(certificate) + pki.key_pem(key)
        if number % 2:  # key and chain in one file, put in place at once …
            fresh = directory / "fresh"
            fresh.write_bytes(together)
            os.replace(fresh, directory / f"{name}.pem")
        else:  # … or two files, which do not match for a moment
            (directory / f"{name}.key").write_bytes(pki.key_pem(key))
            time.sleep(0.001)
            (directory / f"{name}.pem").write_bytes(authority.chain(certificate))
        return f"{certificate.serial_number:X}"

    def shown(name):
        with tls.TlsClient(weir, name, crowd.made) as client:
            return client.sock.getpeercert()["serialNumber"].lstrip("0")

    for number, name in enumerate(names):
        write(name, number)
    config = "workers 4\n" + "".join(
        f"site {name} {{\n listen @listen\n tls @pki/{name}.pem"
        + ("" if number % 2 else f" key=@pki/{name}.key") + f"\n respond 200 {name}\n}}\n"
        for number, name in enumerate(names))
    with Weir(config, pki=directory) as weir:
        crowd = Crowd(weir, file, names)
        crew = [threading.Thread(target=crowd.come_and_go, args=(n * 5,)) for n in range(3)]
        crew += [threading.Thread(target=crowd.stay, args=(name,)) for name in names[:4]]
        for thread in crew:
            thread.start()
        swapped = 0
        for _ in range(rounds):
            wanted = {name: write(name, number) for number, name in enumerate(names)}
            until = time.monotonic() + 60
            for name in names:
                while shown(name) != wanted[name]:
                    assert time.monotonic() < until, "a certificate was not read again"
                    time.sleep(0.05)
                swapped += 1
        patience.until(lambda: crowd.wrong or crowd.handshakes > 20 * rounds
                       and crowd.resumed > rounds and len(crowd.seen) > SITES + rounds)
        crowd.is_over = True
        for thread in crew:
            thread.join()
    assert crowd.wrong == [], crowd.wrong[:10]
    print(f"{swapped} swaps, {crowd.handshakes} handshakes ({crowd.resumed} resumed), "
          f"{crowd.requests} requests, 0 failed; {len(crowd.seen)} certificates were seen")


def test_swaps_under_load(tmp_path):
    swap(tmp_path, 2)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_swaps_under_load(tmp_path):
    swap(tmp_path, 50)
