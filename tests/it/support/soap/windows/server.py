"""A service behind an account of Windows, which the tests start. Who may come in is decided by GSSAPI with the mechanism
NTLMSSP of Debian's gss-ntlmssp, by connection as IIS does it.

It prints its port when it listens, and ends when its standard input does. To whom it lets in it answers a SOAP envelope
with his name; `GET /stats` tells what it counts and asks nobody, `GET /recycle` has it forget who was let in, `GET
/crash` has it end the connection of the next one who says who he is, before it looks, and `GET /hang` has it leave him
without an answer.
"""

import argparse
import base64
import hashlib
import http.server
import json
import os
import ssl
import sys
import tempfile
import threading
import time

options = argparse.ArgumentParser()
options.add_argument("--account", default="CORP:svc:s3cret & <safe>", help="DOMAIN:USER:PASSWORD")
options.add_argument("--offers", default="NTLM", help="what a stranger is told, `+` between")
options.add_argument("--each-time", action="store_true", help="a connection is asked with each call")
options.add_argument("--close", choices=["first", "challenge", "third"], help="ends the connection at this message")
options.add_argument("--mute", action="store_true", help="ends the connection of whom it refuses, without a word")
options.add_argument("--tarpit", action="store_true", help="leaves whom it refuses without an answer")
options.add_argument("--torn", action="store_true", help="the question who calls breaks off")
options.add_argument("--takes", type=float, default=0, metavar="SECONDS", help="how long a call takes")
options.add_argument("--forbids", action="store_true", help="whoever is let in may do nothing")
options.add_argument("--cert", help="speak TLS, and take only who is bound to this certificate")
options.add_argument("--key")
options.add_argument("--bound-to", help="take only who is bound to this certificate instead")
options = options.parse_args()

accounts = tempfile.NamedTemporaryFile("w", suffix=".accounts")
accounts.write(options.account + "\n")
accounts.flush()
os.environ["NTLM_USER_FILE"] = accounts.name
os.environ["NETBIOS_COMPUTER_NAME"] = "IIS"
os.environ["NETBIOS_DOMAIN_NAME"] = "CORP"

import gssapi  # noqa: E402  (it reads the environment)
import gssapi.raw  # noqa: E402

NTLMSSP = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
ANSWER = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Hello xmlns="urn:windows">'
    "<User>{}</User><Sent>{}</Sent></Hello></s:Body></s:Envelope>"
)
# It is higher whenever the server has begun anew, and so forgotten who is behind its connections.
begun = 0
crashes = 0
hangs = 0
counts = {"handshakes": 0, "refused": 0, "calls": 0, "empty": 0, "asked": 0, "crashed": 0, "hung": 0}
lock = threading.Lock()


def count(what):
    with lock:
        counts[what] += 1


bindings = None
if options.cert:
    with open(options.bound_to or options.cert) as file:
        certificate = ssl.PEM_cert_to_DER_cert(file.read())
    token = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    bindings = gssapi.raw.ChannelBindings(application_data=token)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.context, self.user, self.begun = None, None, begun

    def log_message(self, *_):
        pass

    def say(self, status, body="", fields=()):
        body = body.encode()
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def ask(self, scheme=None, challenge=None):
        if challenge is not None:
            offers = [f"{scheme} {base64.b64encode(challenge).decode()}"]
        else:
            offers = [offer + (' realm="x"' if offer == "Basic" else "") for offer in options.offers.split("+")]
        self.say(401, "<html>who?</html>", [("WWW-Authenticate", offer) for offer in offers])

    def leave_alone(self):
        self.close_connection = True
        # Until the other side has closed it.
        self.rfile.read(1)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/stats":
            return self.say(200, json.dumps(counts))
        global begun, crashes, hangs
        if self.path == "/recycle":
            begun += 1
            return self.say(200)
        if self.path == "/crash":
            crashes += 1
            return self.say(200)
        if self.path == "/hang":
            hangs += 1
            return self.say(200)
        if self.begun != begun:
            self.user, self.begun = None, begun
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not token:
            if self.user is None:
                # A call that came without a word of who calls.
                count("asked")
                if options.torn:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", options.offers)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"<html>who")
                    self.close_connection = True
                    return
                return self.ask()
        elif scheme not in options.offers.split("+") or scheme == "Basic":
            return self.ask()
        else:
            token = base64.b64decode(token)
            if self.context is None:
                if options.close == "first":
                    self.close_connection = True
                    return
                credentials = gssapi.Credentials(usage="accept", mechs=[NTLMSSP])
                self.context = gssapi.SecurityContext(creds=credentials, usage="accept", channel_bindings=bindings)
                challenge = self.context.step(token)
                if body:
                    raise AssertionError("the call came before anybody was asked")
                self.close_connection = options.close == "challenge"
                return self.ask(scheme, challenge)
            with lock:
                is_crash, is_hang = crashes > 0, hangs > 0
                crashes -= is_crash
                hangs -= is_hang
            if is_crash:
                count("crashed")
            if is_hang:
                count("hung")
                return self.leave_alone()
            if options.close == "third" or is_crash:
                self.close_connection = True
                return
            context, self.context = self.context, None
            try:
                context.step(token)
                # Its names end with a NUL.
                self.user = str(context.initiator_name).strip(" \0")
                count("handshakes")
            except gssapi.exceptions.GSSError:
                self.user = None
                count("refused")
                if options.tarpit:
                    return self.leave_alone()
                if options.mute:
                    self.close_connection = True
                    return
                return self.ask()
        user = self.user
        if options.each_time:
            self.user = None
        if options.forbids:
            return self.say(403, "<html>not you</html>")
        count("calls" if body else "empty")
        time.sleep(options.takes)
        self.say(200, ANSWER.format(user, len(body)), [("Content-Type", "text/xml; charset=utf-8")])

    do_GET = do_POST


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
