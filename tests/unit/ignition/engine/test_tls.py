"""TLS over a connection that is a pair of buffers, to a server in this process."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from nestos.ignition.engine.tls import context, secured
from nestos.ignition.engine.transport import FetchError

DATA = Path(__file__).parent / "data"
SERVER = DATA / "server.pem"  # a certificate for server.example that vouches for itself, and its key
CERTIFICATE = SERVER.read_text().partition("-----BEGIN EC")[0]
OTHER = (DATA / "other-authority.pem").read_text()


class Server:
    """Sends back in capital letters what it gets; ``polite``: says goodbye when it ends."""

    def __init__(self, *, polite: bool = True) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SERVER)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._polite = polite
        self._greeted = False
        self.closed = False

    def sendall(self, data: bytes, /) -> None:
        self._incoming.write(data)

    def recv(self, size: int, /) -> bytes:
        try:
            if not self._greeted:
                self._tls.do_handshake()
                self._greeted = True
            while True:
                self._tls.write(self._tls.read(size).upper())
                if self._polite:
                    self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def settimeout(self, seconds: float | None, /) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def talk(server: Server, *authorities: str, host: str = "server.example", bundles: tuple[Path, ...] = ()) -> bytes:
    connection = secured(server, host=host, bundles=bundles, authorities=authorities)
    connection.sendall(b"hello")
    answer = b""
    while data := connection.recv(3):
        answer += data
    connection.close()
    return answer


@pytest.mark.parametrize(
    "authorities",
    [(CERTIFICATE,), (OTHER, CERTIFICATE), (OTHER + "\n\n" + CERTIFICATE + "\n\n",), (f"a remark\n{CERTIFICATE}", "")],
)
def test_a_server_is_trusted_for_an_authority_of_the_config(authorities: tuple[str, ...]) -> None:
    server = Server()

    assert talk(server, *authorities) == b"HELLO"
    assert server.closed


def test_a_server_is_trusted_for_the_first_bundle_there_is(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(OTHER + CERTIFICATE)

    assert talk(Server(), bundles=(tmp_path / "missing", bundle)) == b"HELLO"


def test_a_server_may_be_an_address() -> None:
    assert talk(Server(), CERTIFICATE, host="127.0.0.1") == b"HELLO"


@pytest.mark.parametrize(("host", "authority"), [("server.example", OTHER), ("other.example", CERTIFICATE)])
def test_a_server_that_nobody_vouches_for_is_not_talked_to(host: str, authority: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(Server(), authority, host=host)


def test_authorities_need_not_be_perfect() -> None:
    flags = context(bundles=(), authorities=()).verify_flags

    assert not flags & ssl.VERIFY_X509_STRICT
    assert flags & ssl.VERIFY_X509_PARTIAL_CHAIN


@pytest.mark.parametrize("authority", ["no certificate", CERTIFICATE.replace("A", "!")])
def test_what_is_no_certificate_is_an_error_of_the_config(authority: str) -> None:
    with pytest.raises(FetchError, match="unable to decode PEM block"):
        talk(Server(), authority)


def test_a_server_may_end_without_a_goodbye() -> None:
    assert talk(Server(polite=False), CERTIFICATE) == b"HELLO"


def test_a_server_that_ends_before_it_has_greeted_is_an_error() -> None:
    class Mute(Server):
        def recv(self, size: int, /) -> bytes:
            return b""

    with pytest.raises(OSError, match="EOF"):
        talk(Mute(), CERTIFICATE)
