"""Says of tokens of GSSAPI whose they are. A line in is a session and a token in hex; a line out is `more TOKEN`,
`done TOKEN NAME` or `no`. It ends with its standard input."""

import sys

import gssapi

mechanism = gssapi.OID.from_int_seq(sys.argv[1])
sessions = {}
for line in sys.stdin:
    session, _, token = line.strip().partition(" ")
    if session not in sessions:
        credentials = gssapi.Credentials(usage="accept", mechs=[mechanism])
        sessions[session] = gssapi.SecurityContext(creds=credentials, usage="accept")
    context = sessions[session]
    try:
        answer = (context.step(bytes.fromhex(token)) or b"").hex()
        if context.complete:
            print(f"done {answer} {context.initiator_name}", flush=True)
        else:
            print(f"more {answer}", flush=True)
    except gssapi.exceptions.GSSError as error:
        print(error, file=sys.stderr)
        print("no", flush=True)
