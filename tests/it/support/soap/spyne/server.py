"""An order service on spyne, which the tests start: SOAP 1.1 and 1.2, document/literal.

It prints its port when it listens, and ends when its standard input does. Paths: /soap11, /soap12 (plain); /secured
(UsernameToken wanted); /basic and /bearer (HTTP's own ways); /session (a token of `Login` wanted in a header, good for
so many calls); /gzip and /deflate; /mtom and /swa (multipart answers); /packaged (multipart calls), /packages (no others); /lost (answers nothing); /stats.
"""

import argparse
import base64
import datetime
import decimal
import email.mime.application
import email.mime.multipart
import email.encoders
import gzip
import hashlib
import json
import logging
import socketserver
import ssl
import sys
import threading
import time
import wsgiref.simple_server
import zlib

from lxml import etree
from spyne import (
    Application, Array, Boolean, ByteArray, ComplexModel, Date, DateTime, Decimal, Fault, Int, Long, ServiceBase,
    Unicode, XmlAttribute, rpc,
)
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

NS = "urn:tollbridge:orders"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"

options = argparse.ArgumentParser()
options.add_argument("--user", default="svc")
options.add_argument("--password", default="s3cret & <safe>")
options.add_argument("--token", default="bearer-1")
options.add_argument("--token-calls", type=int, default=3, help="a session's token is good for so many calls")
options.add_argument("--skew", type=int, default=0, help="the service's clock is so many seconds ahead")
options.add_argument("--cert")
options.add_argument("--key")
options.add_argument("--client-ca")
options = options.parse_args()


class Line(ComplexModel):
    __namespace__ = NS
    _type_info = [
        ("Sku", Unicode(min_occurs=1)),
        ("Quantity", Int(min_occurs=1)),
        ("Price", Decimal(11, 2, min_occurs=1)),
        ("Note", Unicode(nillable=True)),
    ]


class Order(ComplexModel):
    __namespace__ = NS
    _type_info = [
        ("status", XmlAttribute(Unicode)),
        ("Number", Long(min_occurs=1)),
        ("Reference", Unicode(min_occurs=1)),
        ("Customer", Unicode(nillable=True, min_occurs=1)),
        ("OrderedOn", Date(min_occurs=1)),
        ("ChangedAt", DateTime(min_occurs=1)),
        ("Amount", Decimal(22, 4, min_occurs=1)),
        ("Paid", Boolean(min_occurs=1)),
        ("Tag", Unicode(max_occurs="unbounded")),
        ("Lines", Array(Line)),
    ]


class Page(ComplexModel):
    __namespace__ = NS
    _type_info = [
        ("Total", Int(min_occurs=1)),
        ("Next", Int(nillable=True, min_occurs=1)),
        ("Order", Order.customize(max_occurs="unbounded")),
    ]


class Session(ComplexModel):
    __namespace__ = NS
    Token = Unicode


class Lock:
    lock = threading.Lock()
    orders = {}
    sessions = {}
    counts = {"plain": 0, "calls": 0, "logins": 0, "created": 0, "notified": 0, "at_work": 0, "most": 0}
    nonces = set()


def count(name, by=1):
    with Lock.lock:
        Lock.counts[name] += by
        if name == "at_work":
            Lock.counts["most"] = max(Lock.counts["most"], Lock.counts[name])


def seed():
    for number in range(1, 26):
        lines = [
            Line(Sku="A-%03d" % number, Quantity=count, Price=decimal.Decimal("19.90"), Note=None if count % 2 else "")
            for count in range(1, number % 3 + 1)
        ]
        Lock.orders[number] = Order(
            status="open" if number % 2 else "closed",
            Number=number,
            Reference="REF-%d" % number,
            Customer=None if number % 5 == 0 else "Müller & Söhne <%d>" % number,
            OrderedOn=datetime.date(2026, 11, number),
            ChangedAt=datetime.datetime(2026, 11, number, 8, 30, 15, tzinfo=datetime.timezone.utc),
            Amount=decimal.Decimal("12345678901234567.8900") + number,
            Paid=number % 4 == 0,
            Tag=["t%d" % tag for tag in range(number % 3)],
            Lines=lines,
        )


seed()


def not_found(what):
    return Fault("Client.NotFound", "There is no order %s" % what, detail={"OrderNotFound": {"Number": str(what), "Hint": "look in the archive"}})


class Orders(ServiceBase):
    @rpc(Long(min_occurs=1), _returns=Order)
    def GetOrder(ctx, Number):
        order = Lock.orders.get(Number)
        if order is None:
            raise not_found(Number)
        return order

    @rpc(Unicode(min_occurs=1), _returns=Order)
    def GetOrderByReference(ctx, Reference):
        for order in Lock.orders.values():
            if order.Reference == Reference:
                return order
        raise not_found(Reference)

    @rpc(Int(default=0), Int(default=10), _returns=Page)
    def ListOrders(ctx, Offset, Limit):
        numbers = sorted(Lock.orders)
        offset, limit = Offset or 0, Limit or 10
        found = [Lock.orders[number] for number in numbers[offset:offset + limit]]
        following = offset + limit
        return Page(Total=len(numbers), Next=following if following < len(numbers) else None, Order=found)

    @rpc(Unicode(min_occurs=1), Unicode, Decimal(22, 4), Array(Line), _returns=Order)
    def CreateOrder(ctx, Reference, Customer, Amount, Lines):
        with Lock.lock:
            for order in Lock.orders.values():
                if order.Reference == Reference:
                    return order
            number = max(Lock.orders) + 1
            Lock.orders[number] = Order(
                status="open", Number=number, Reference=Reference, Customer=Customer,
                OrderedOn=datetime.date(2026, 11, 28),
                ChangedAt=datetime.datetime(2026, 11, 28, 12, 0, 0, tzinfo=datetime.timezone.utc),
                Amount=Amount, Paid=False, Tag=[], Lines=Lines or [])
            Lock.counts["created"] += 1
            return Lock.orders[number]

    @rpc(Int(min_occurs=1), _returns=Int)
    def Slow(ctx, Millis):
        time.sleep(Millis / 1000)
        return Millis

    @rpc(Unicode(min_occurs=1), _returns=Unicode)
    def Fail(ctx, Kind):
        if Kind == "client":
            raise Fault("Client.Invalid", "The input is not valid")
        if Kind == "server":
            raise Fault("Server.Locked", "The database is locked")
        raise RuntimeError("unexpected")

    @rpc(Unicode, Unicode, _returns=Unicode)
    def Login(ctx, User, Password):
        count("logins")
        if (User, Password) != (options.user, options.password):
            raise Fault("Client.LoginFailed", "Wrong user or password")
        with Lock.lock:
            token = "session-%d" % Lock.counts["logins"]
            Lock.sessions[token] = options.token_calls
        return token

    @rpc(Unicode(min_occurs=1))
    def Notify(ctx, Text):
        count("notified")

    @rpc(Int(min_occurs=1), _returns=ByteArray)
    def GetDocument(ctx, Size):
        return [bytes(number % 251 for number in range(Size))]

    @rpc(Unicode(min_occurs=1), ByteArray(min_occurs=1), _returns=Unicode)
    def StoreDocument(ctx, Name, Data):
        data = b"".join(Data)
        return "%s %d %s" % (Name, len(data), hashlib.sha256(data).hexdigest())


def security(envelope):
    """What is wrong with the UsernameToken; None when nothing."""
    token = envelope.find(".//{%s}Security/{%s}UsernameToken" % (WSSE, WSSE))
    if token is None:
        return "InvalidSecurity", "No UsernameToken"
    text = lambda namespace, name: token.findtext("{%s}%s" % (namespace, name))
    user, nonce, created = text(WSSE, "Username"), text(WSSE, "Nonce"), text(WSU, "Created")
    password = token.find("{%s}Password" % WSSE)
    if user != options.user or password is None:
        return "FailedAuthentication", "Unknown user"
    if created is not None:
        made = datetime.datetime.strptime(created.split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=options.skew)
        if not created.endswith("Z") or abs((now - made).total_seconds()) > 60:
            return "MessageExpired", "Created %s is too far from %sZ" % (created, now.isoformat(timespec="seconds"))
    if nonce is not None:
        with Lock.lock:
            if nonce in Lock.nonces:
                return "InvalidSecurity", "The nonce was used before"
            Lock.nonces.add(nonce)
    if password.get("Type") == DIGEST:
        digest = hashlib.sha1(base64.b64decode(nonce or "") + (created or "").encode() + options.password.encode())
        good = base64.b64encode(digest.digest()).decode() == password.text
    else:
        good = password.text == options.password
    return None if good else ("FailedAuthentication", "The password is wrong")


def refused(code, reason, header=""):
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:wsse="%s">%s<s:Body><s:Fault>'
        "<faultcode>wsse:%s</faultcode><faultstring>%s</faultstring></s:Fault></s:Body></s:Envelope>"
        % (WSSE, header, code, reason)).encode()


def multipart(body, kind, with_type):
    """The answer of spyne as a package of parts, written by Python's own library."""
    envelope = etree.fromstring(body)
    found = envelope.find(".//{%s}GetDocumentResult" % NS)
    if found is None:
        return body, None
    data = base64.b64decode(found.text)
    found.text = None
    if kind == "mtom":
        include = etree.SubElement(found, "{http://www.w3.org/2004/08/xop/include}Include")
        include.set("href", "cid:part%2B1%40orders.example")
    else:
        found.set("href", "cid:part+1@orders.example")
    package = email.mime.multipart.MIMEMultipart("related")
    root = email.mime.application.MIMEApplication(
        etree.tostring(envelope, xml_declaration=True, encoding="utf-8"), "xop+xml" if kind == "mtom" else "xml",
        email.encoders.encode_noop)
    if kind == "swa":
        root.replace_header("Content-Type", "text/xml; charset=utf-8")
    root["Content-ID"] = "<root@orders.example>"
    part = email.mime.application.MIMEApplication(data, "octet-stream", email.encoders.encode_noop)
    part["Content-Transfer-Encoding"] = "binary"
    part["Content-ID"] = "<part+1@orders.example>"
    boundary = "=_orders_%d" % len(data)
    package.set_boundary(boundary)
    written = b""
    for each in (root, part):
        written += b"--" + boundary.encode() + b"\r\n"
        for name, value in each.items():
            if name.lower() != "mime-version":
                written += ("%s: %s\r\n" % (name, value)).encode()
        written += b"\r\n" + each.get_payload(decode=True) + b"\r\n"
    written += b"--" + boundary.encode() + b"--\r\n"
    said = 'multipart/related; type="application/xop+xml"; start="<root@orders.example>"; start-info="text/xml"; boundary="%s"'
    return written, said % boundary if with_type else None


class Door:
    """What stands before spyne: credentials, compression, parts."""

    def __init__(self):
        def application(soap):
            made = Application([Orders], NS, name="Orders", in_protocol=soap(validator="soft"), out_protocol=soap())
            return WsgiApplication(made)

        self.soap11, self.soap12 = application(Soap11), application(Soap12)

    def __call__(self, environ, start):
        path = environ["PATH_INFO"].strip("/")
        if path == "stats":
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(Lock.counts).encode()]
        if environ["REQUEST_METHOD"] == "GET":
            return self.soap12(environ, start) if path == "soap12" else self.soap11(environ, start)
        count("calls")
        count("at_work")
        try:
            return self.answer(path, environ, start)
        finally:
            count("at_work", -1)

    def answer(self, path, environ, start):
        if path == "packages" and "multipart/related" not in environ.get("CONTENT_TYPE", ""):
            # As WCF says it.
            with Lock.lock:
                Lock.counts["plain"] += 1
            start("415 Cannot process the message", [("Content-Type", "text/plain")])
            return [b"the content type text/xml was not the expected type multipart/related"]
        if path in ("packaged", "packages"):
            # Parts are spyne's own business; what came is told for whoever wants to know that there were any.
            with Lock.lock:
                Lock.counts["packages"] = Lock.counts.get("packages", 0) + (
                    "multipart/related" in environ.get("CONTENT_TYPE", "")
                )
            return self.soap11(environ, start)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if path == "packaged-session":
            kind = environ.get("CONTENT_TYPE", "")
            if "multipart/related" not in kind:
                with Lock.lock:
                    Lock.counts["plain"] += 1
                start("415 Cannot process the message", [("Content-Type", "text/plain")])
                return [b"the content type text/xml was not the expected type multipart/related"]
            package = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
            envelope = etree.fromstring(package.get_payload(0).get_payload(decode=True))
            path = "session"
        else:
            envelope = etree.fromstring(body)

        def fault(status, code, reason, header="", more=()):
            start(status, [("Content-Type", "text/xml; charset=utf-8"), *more])
            return [refused(code, reason, header)]

        if path == "secured":
            wrong = security(envelope)
            if wrong:
                # Some services send back what they were sent.
                sent = envelope.find(".//{%s}Security" % WSSE)
                echo = "" if sent is None else "<s:Header>%s</s:Header>" % etree.tostring(sent, encoding="unicode")
                return fault("500 Internal Server Error", *wrong, echo)
        if path == "basic":
            expected = base64.b64encode(("%s:%s" % (options.user, options.password)).encode()).decode()
            if environ.get("HTTP_AUTHORIZATION") != "Basic " + expected:
                start("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="orders"'), ("Content-Type", "text/html")])
                return [b"<html><body>Unauthorized</body></html>"]
        if path == "bearer" and environ.get("HTTP_AUTHORIZATION") != "Bearer " + options.token:
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [b"unauthorized"]
        is_login = envelope.find(".//{%s}Login" % NS) is not None
        if path == "session" and not is_login:
            token = envelope.findtext(".//{%s}Session/{%s}Token" % (NS, NS)) or environ.get("HTTP_X_SESSION")
            with Lock.lock:
                left = Lock.sessions.get(token, 0)
                Lock.sessions[token] = left - 1
            if left <= 0:
                return fault("500 Internal Server Error", "SessionExpired", "Log in first")
        if path == "lost":
            environ["wsgi.input"].close()
            raise ConnectionAbortedError
        told = {}

        def keep(status, headers, exc_info=None):
            told.update(status=status, headers=headers)

        class Input:
            def __init__(self):
                self.rest = body

            def read(self, size=-1):
                piece, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
                return piece

        environ["wsgi.input"] = Input()
        soap = self.soap12 if path == "soap12" else self.soap11
        said = b"".join(soap(environ, keep))
        headers = [(name, value) for name, value in told["headers"] if name.lower() != "content-length"]
        wanted = environ.get("HTTP_ACCEPT_ENCODING", "")
        if path in ("mtom", "swa", "quiet"):
            said, kind = multipart(said, "swa" if path == "swa" else "mtom", path != "quiet")
            if kind:
                headers = [(name, value) for name, value in headers if name.lower() != "content-type"]
                headers.append(("Content-Type", kind))
        elif path == "gzip" and "gzip" in wanted:
            said = gzip.compress(said)
            headers.append(("Content-Encoding", "gzip"))
        elif path == "deflate" and "deflate" in wanted:
            said = zlib.compress(said)
            headers.append(("Content-Encoding", "deflate"))
        headers.append(("Content-Length", str(len(said))))
        start(told["status"], headers)
        return [said]


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # Without asking for names.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()

    def handle_error(self, *args):
        pass


logging.disable(logging.CRITICAL)
server = Server(("127.0.0.1", 0), Handler)
server.set_app(Door())
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    if options.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.client_ca)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
