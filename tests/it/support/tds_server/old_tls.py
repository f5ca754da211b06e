"""The front of a server from the time when TLS ended at 1.0: it wants everything encrypted, and hands on in plain to the
server behind it. Its arguments are the port of that server and the folder of its certificate. It prints its own port,
then a line for each handshake: the version that was agreed on, or `refused`."""

import selectors
import socket
import ssl
import sys
import threading

PRELOGIN, ANSWER = 0x12, 0x04
ENCRYPTION, END = 1, 0xFF
ON, NOT_SUPPORTED, REQUIRED = 1, 2, 3


def exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def packet(stream):
    head = exactly(stream, 8)
    return head, exactly(stream, int.from_bytes(head[2:4], "big") - 8)


def option(payload, wanted):
    """Where the value of an option of a PRELOGIN message stands."""
    at = 0
    while payload[at] != END:
        if payload[at] == wanted:
            return int.from_bytes(payload[at + 1 : at + 3], "big")
        at += 5
    raise ValueError("no such option")


def in_packets(data):
    pieces = [data[at : at + 4088] for at in range(0, len(data), 4088)]
    for piece in pieces:
        last = 1 if piece is pieces[-1] else 0
        yield bytes([PRELOGIN, last]) + (len(piece) + 8).to_bytes(2, "big") + bytes([0, 0, 1, 0]) + piece


def greet(client, server):
    """The first exchange. False where the client does not encrypt."""
    head, hello = packet(client)
    wish = hello[option(hello, ENCRYPTION)]
    plain = bytearray(hello)
    plain[option(hello, ENCRYPTION)] = NOT_SUPPORTED
    server.sendall(head + plain)
    head, answer = packet(server)
    answer = bytearray(answer)
    answer[option(answer, ENCRYPTION)] = ON if wish in (ON, REQUIRED) else REQUIRED
    client.sendall(head + answer)
    return wish != NOT_SUPPORTED


def shake_hands(client, context):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)

    def flush():
        for piece in in_packets(outgoing.read()):
            client.sendall(piece)

    while True:
        try:
            tls.do_handshake()
            flush()
            return tls, incoming, outgoing
        except ssl.SSLWantReadError:
            flush()
            incoming.write(packet(client)[1])
        except ssl.SSLError:
            # The alert that says why.
            flush()
            raise


def hand_on(client, server, tls, incoming, outgoing):
    ready = selectors.DefaultSelector()
    ready.register(client, selectors.EVENT_READ)
    ready.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            data = key.fileobj.recv(65536)
            if not data:
                return
            if key.fileobj is server:
                tls.write(data)
                client.sendall(outgoing.read())
                continue
            incoming.write(data)
            while True:
                try:
                    plain = tls.read(65536)
                except ssl.SSLWantReadError:
                    break
                if not plain:
                    return
                server.sendall(plain)


def serve(client, port, context):
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        for stream in (client, server):
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if not greet(client, server):
                return
            try:
                session = shake_hands(client, context)
            except (ssl.SSLError, EOFError):
                print("refused", flush=True)
                return
            print(session[0].version(), flush=True)
            hand_on(client, server, *session)
        except (OSError, EOFError):
            pass


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What the system forbids by itself, as Debian does, is allowed for this context alone.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, port, context), daemon=True).start()


main()
