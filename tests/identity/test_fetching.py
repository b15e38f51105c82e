"""Documents of another identity provider are fetched over https, without redirects, and within bounds."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.identity.fetching import fetch

Answering = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on this machine whose paths are answered as a test says. `over` ends answers that never end."""

    def __init__(self) -> None:
        self.answers: dict[str, Answering] = {}
        self.asked: list[str] = []
        self.over = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.answers[self.path](self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}{path}"

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def says(body: bytes, status: int = 200, **headers: str) -> Answering:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed but itself, and its key."""
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, key


@pytest.fixture
def secure(site: Site, tmp_path: Path) -> Path:
    """The site over https from now on; the path of its certificate."""
    cert, key = certificate(tmp_path)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    return cert


def test_what_a_trusted_host_says_is_fetched(
    site: Site, secure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure))
    site.answers["/keys?a=b"] = says(b'{"keys": []}')
    assert fetch(site.url("/keys?a=b", "https")) == b'{"keys": []}'


def test_a_certificate_that_nobody_vouches_for_is_refused(site: Site, secure: Path) -> None:
    with pytest.raises(SSLError):
        fetch(site.url("/keys", "https"))
    assert site.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example/keys",
        "http://localhost/keys",
        "http://127.0.0.1:1/keys",
        "file:///etc/passwd",
        "ftp://login.example/keys",
        "data:application/json,{}",
        "https:///keys",
        "https://login.example:99999/keys",
        "https://[/keys",
        "https://a b/keys",
        "//login.example/keys",
        "/etc/passwd",
        "",
    ],
)
def test_nothing_but_https_is_asked(url: str) -> None:
    with pytest.raises(OSError):
        fetch(url)


def test_this_machine_may_be_asked_by_http_where_that_is_said(site: Site) -> None:
    """For development; `http://login.example` stays refused."""
    site.answers["/keys"] = says(b"{}")
    assert fetch(site.url("/keys"), http_on_this_machine=True) == b"{}"
    with pytest.raises(OSError):
        fetch(site.url("/keys"))
    with pytest.raises(OSError):
        fetch("http://login.example/keys", http_on_this_machine=True)
    assert site.asked == ["/keys"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(site: Site, status: int) -> None:
    site.answers |= {"/keys": says(b"", status, Location=site.url("/other")), "/other": says(b"{}")}
    with pytest.raises(OSError):
        fetch(site.url("/keys"), http_on_this_machine=True)
    assert site.asked == ["/keys"]


@pytest.mark.parametrize("status", [201, 204, 404, 500])
def test_anything_but_200_is_no_document(site: Site, status: int) -> None:
    site.answers["/keys"] = says(b"{}", status)
    with pytest.raises(OSError):
        fetch(site.url("/keys"), http_on_this_machine=True)


@pytest.mark.parametrize(("size", "good"), [(100, True), (101, False), (10_000, False)])
def test_size_is_bounded(site: Site, size: int, good: bool) -> None:
    site.answers["/keys"] = says(b"x" * size)
    if good:
        assert len(fetch(site.url("/keys"), http_on_this_machine=True, max_bytes=100)) == size
    else:
        with pytest.raises(OSError):
            fetch(site.url("/keys"), http_on_this_machine=True, max_bytes=100)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_time_is_bounded_also_where_a_byte_comes_now_and_then(site: Site, begun: bytes) -> None:
    """Each byte is in time for the limit of one step: only the whole takes too long."""
    ended = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(begun)
        try:
            while not site.over.wait(0.02):
                request.wfile.write(b"x")
        except OSError:
            ended.set()  # the other side has hung up

    site.answers["/keys"] = drip
    with pytest.raises(TimeoutError):
        fetch(site.url("/keys"), http_on_this_machine=True, seconds=0.3)
    assert ended.wait(5)


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 2x0 OK\r\n\r\n"])
def test_what_is_no_http_is_no_fault_of_ours(site: Site, answer: bytes) -> None:
    site.answers["/keys"] = lambda request: request.wfile.write(answer) and None
    with pytest.raises(OSError):
        fetch(site.url("/keys"), http_on_this_machine=True)
