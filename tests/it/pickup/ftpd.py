"""An FTP server for the tests: ftpd.py FOLDER explicit|implicit|off [nofacts] [nosize] [oddlist]

Prints its port. FOLDER/limits may say what data connections suffer from, as JSON: {"cut": N} closes after N bytes,
{"pause": SECONDS} waits before each piece, {"silent": N} stops to answer anything after N bytes, {"cut_in": N} closes
after N bytes of what is sent to it; and {"lost": "done"|"undone"} closes where it should say how a renaming went.
"""

import json
import logging
import os
import sys
import time

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

folder, tls = sys.argv[1], sys.argv[2]
logging.basicConfig(level=logging.ERROR)


def limits():
    try:
        with open(os.path.join(folder, "limits")) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


class Limited:
    sent = 0

    def send(self, data):
        now = limits()
        time.sleep(now.get("pause", 0))
        if now.get("silent") and self.sent + len(data) > now["silent"]:
            time.sleep(3600)
        if now.get("cut") and self.sent + len(data) > now["cut"]:
            self.close()
            self.cmd_channel.close()
            return 0
        count = super().send(data)
        self.sent += count
        return count


    received = 0

    def recv(self, size):
        piece = super().recv(size)
        self.received += len(piece)
        if limits().get("cut_in") and self.received > limits()["cut_in"]:
            self.close()
            self.cmd_channel.close()
            return b""
        return piece


base, data = (FTPHandler, DTPHandler) if tls == "off" else (TLS_FTPHandler, TLS_DTPHandler)


class Data(Limited, data):
    pass


class Handler(base):
    dtp_handler = Data
    # So that all bytes go through `send`.
    use_sendfile = False

    def ftp_RNTO(self, path):
        lost = limits().get("lost")
        if not lost:
            return super().ftp_RNTO(path)
        if lost == "done":
            os.rename(self._rnfr, path)
        self.close()
        return None

    def __init__(self, conn, server, ioloop=None):
        super().__init__(conn, server, ioloop)
        # TLS from the first byte on: the greeting goes through it as well.
        if tls == "implicit" and self.connected:
            self.secure_connection(self.ssl_context)


if tls != "off":
    Handler.certfile = os.path.join(folder, "server.pem")
    Handler.tls_control_required = True
    Handler.tls_data_required = True
if "nofacts" in sys.argv[3:]:
    Handler.proto_cmds = {name: spec for name, spec in Handler.proto_cmds.items() if name not in ("MLST", "MLSD")}

if "nosize" in sys.argv[3:]:
    Handler.proto_cmds = {name: spec for name, spec in Handler.proto_cmds.items() if name not in ("SIZE", "MDTM")}

if "oddlist" in sys.argv[3:]:

    def odd_list(self, path):
        """A listing as an AS/400 makes it."""
        names = sorted(os.listdir(path))
        lines = [f"QSYS          1234 31.10.26 12:00:00 *STMF      {name}" for name in names]
        self.push_dtp_data("".join(line + "\r\n" for line in lines).encode(), isproducer=False, cmd="LIST")
        return path

    Handler.ftp_LIST = odd_list

authorizer = DummyAuthorizer()
authorizer.add_user("erp", "Zollbrücke 7", os.path.join(folder, "home"), perm="elradfmwMT")
Handler.authorizer = authorizer
server = FTPServer(("127.0.0.1", 0), Handler)
print(server.address[1], flush=True)
server.serve_forever()
