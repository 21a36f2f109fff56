"""A receiver of webhooks that checks what it gets by itself, as Standard Webhooks says, and answers
as a test tells it to."""
import base64
import hashlib
import hmac
import http.server
import ssl
import threading
import time

from programs import DEADLINE_SECONDS


def verify(secret, headers, body, now, tolerance=300):
    """Raises ValueError unless one of the signatures is that of `secret` and the time is near."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now - int(timestamp)) > tolerance:
        raise ValueError("too old, or from the future")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = [one.removeprefix("v1,") for one in headers["webhook-signature"].split()]
    if not any(hmac.compare_digest(wanted, one) for one in signatures):
        raise ValueError("no signature of this secret")


class Receiver:
    """Answers on a free port with `answer(id)`: a status, or None to say nothing until the sender has
    given up."""

    def __init__(self, answer=lambda _: 204, certificate=None):
        self.answer = answer
        self.is_endless = False  # whether its answer has no end, until somebody had enough of it
        self.sent = 0        # bytes of that
        self.secrets = []    # any of them will do
        self.taken = []      # ids of requests that were answered with 2xx, in order
        self.asked = []      # (id, status) of all, in order
        self.requests = []   # (headers, body) of all
        self.problems = []   # what was not as it must be
        self._changed = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.serve(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a sender that does not like the certificate
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/in"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def serve(self, request):
        body = request.rfile.read(int(request.headers["content-length"]))
        message_id = request.headers["webhook-id"]
        problem = self._problem(request.headers, body)
        status = self.answer(message_id)
        if status is None:
            request.connection.settimeout(DEADLINE_SECONDS)
            request.rfile.read(1)  # ends when the sender goes away
        with self._changed:
            if problem:
                self.problems.append(f"{message_id}: {problem}")
            self.asked.append((message_id, status))
            self.requests.append((dict(request.headers.items()), body))
            if status and 200 <= status < 300:
                self.taken.append(message_id)
            self._changed.notify_all()
        if status is None:
            request.close_connection = True
            return
        if self.is_endless:
            return self._answer_without_end(request, status)
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _answer_without_end(self, request, status):
        request.close_connection = True
        request.send_response(status)
        request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        try:
            while True:
                self.sent += request.connection.send(b"x" * 1024)
        except OSError:
            with self._changed:
                self.is_endless = False  # the sender has had enough
                self._changed.notify_all()

    def _problem(self, headers, body):
        if not self.secrets:
            return None
        problem = None
        for secret in self.secrets:
            try:
                return verify(secret, headers, body, time.time())
            except (ValueError, KeyError) as error:
                problem = repr(error)
        return problem

    def await_that(self, is_so, what):
        with self._changed:
            if not self._changed.wait_for(is_so, DEADLINE_SECONDS):
                raise AssertionError(f"{what}; it got {self.asked}")

    def await_taken(self, ids):
        self.await_that(lambda: set(ids) <= set(self.taken), f"{ids} were not all taken")

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_SECONDS)
