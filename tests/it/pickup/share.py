"""Mounts a folder as a share of another machine is: a file system whose files somebody else writes, of which the kernel tells
nothing to those who watch. What is in FOLDER shows in MOUNT, where files can be read and deleted; the file READY is written
once it is mounted. Speaks the kernel's FUSE protocol (linux/fuse.h) itself; ends when it is unmounted.

    share.py FOLDER MOUNT READY [SILENT]

While there is a file SILENT it answers nothing.
"""
import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import time

folder, mount, ready = sys.argv[1:4]
silent = sys.argv[4] if len(sys.argv) > 4 else None
LOOKUP, FORGET, GETATTR, UNLINK, OPEN, READ, STATFS = 1, 2, 3, 10, 14, 15, 17
RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS = 18, 25, 26, 27, 28, 29, 34
INTERRUPT, BATCH_FORGET = 36, 42

# The nodes by their numbers; 1 is the folder itself.
nodes = {1: ""}
numbers = {"": 1}


def number_of(name):
    if name not in numbers:
        numbers[name] = len(numbers) + 1
        nodes[numbers[name]] = name
    return numbers[name]


def attributes(name):
    found = os.lstat(os.path.join(folder, name))
    whole = lambda time: (time // 10**9, time % 10**9)
    times = [whole(time) for time in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
    seconds, rests = [time[0] for time in times], [time[1] for time in times]
    sizes = (number_of(name), found.st_size, found.st_blocks)
    return struct.pack("<6Q10I", *sizes, *seconds, *rests, found.st_mode, found.st_nlink, 0, 0, 0, 4096, 0)


def answer(opcode, node, body):
    if opcode == INIT:
        return struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 16, 12, 4096, 1, 0, 0, 0, *[0] * 7)
    if opcode == GETATTR:
        return struct.pack("<QII", 0, 0, 0) + attributes(nodes[node])
    if opcode == LOOKUP:
        name = os.fsdecode(body.rstrip(b"\0"))
        found = attributes(name)
        return struct.pack("<4Q2I", number_of(name), 0, 0, 0, 0, 0) + found
    if opcode in (OPEN, OPENDIR):
        return struct.pack("<QII", 0, 0, 0)
    if opcode == READ:
        _, offset, size = struct.unpack_from("<QQI", body)
        with open(os.path.join(folder, nodes[node]), "rb") as file:
            file.seek(offset)
            return file.read(size)
    if opcode == READDIR:
        _, offset, size = struct.unpack_from("<QQI", body)
        entries = b""
        for place, name in list(enumerate(sorted(os.listdir(folder)), 1))[offset:]:
            bare = os.fsencode(name)
            kind = stat.S_IFMT(os.lstat(os.path.join(folder, name)).st_mode) >> 12
            entry = struct.pack("<QQII", number_of(name), place, len(bare), kind) + bare
            entry += b"\0" * (-len(entry) % 8)
            if len(entries) + len(entry) > size:
                break
            entries += entry
        return entries
    if opcode == UNLINK:
        os.unlink(os.path.join(folder, os.fsdecode(body.rstrip(b"\0"))))
        return b""
    if opcode == STATFS:
        return struct.pack("<5Q4I6I", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096, 0, *[0] * 6)
    if opcode in (RELEASE, RELEASEDIR, FLUSH, ACCESS):
        return b""
    raise OSError(errno.ENOSYS, "")


# Whoever reads the share is the parent: without it nobody is left to end this.
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, signal.SIGKILL)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40755,user_id=0,group_id=0"
if libc.mount(b"share", os.fsencode(mount), b"fuse", 0, options.encode()) != 0:
    sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
open(ready, "w").close()
while True:
    try:
        request = os.read(device, 1 << 17)
    except OSError as error:
        if error.errno == errno.ENODEV:
            break
        continue
    length, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
        continue
    while silent and os.path.exists(silent):
        time.sleep(0.05)
    try:
        code, data = 0, answer(opcode, node, request[40:length])
    except OSError as error:
        code, data = -error.errno, b""
    os.write(device, struct.pack("<IiQ", 16 + len(data), code, unique) + data)
