"""Tries on request what an attacker's process would: a line of JSON in, a line of JSON out.

It stands for a program of another user or of a sandbox, so it uses nothing but Python itself.
"""

import errno
import json
import os
import socket
import sys

PATIENCE_SECONDS = 60


def connect(where):
    if "unix" in where:
        stream, address = socket.socket(socket.AF_UNIX), where["unix"]
    else:
        stream, address = socket.socket(socket.AF_INET), tuple(where["tcp"])
    stream.settimeout(PATIENCE_SECONDS)
    stream.connect(address)
    return stream


def ask(where, request):
    """Sends a request that asks for the connection's end, and reads all of the answer."""
    with connect(where) as stream:
        stream.sendall(request.encode())
        answer = b""
        while part := stream.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return {"status": int(head.split()[1]), "body": body.decode()}


def read(path):
    """Reads the beginning of a file."""
    with open(path, "rb") as file:
        return {"read": len(file.read(16))}


def read_memory(pid):
    """Reads what the first mapping of a process holds."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start)
        return {"read": len(memory.read(16))}


def list_folder(path):
    return {"read": len(os.listdir(path))}


def signal(pid):
    """Asks whether a process could be killed."""
    os.kill(pid, 0)
    return {"read": 0}


def who():
    return {"uid": os.getuid(), "groups": os.getgroups()}


TRICKS = {
    trick.__name__: trick for trick in (ask, read, read_memory, list_folder, signal, who)
}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        told = TRICKS[asked.pop("try")](**asked)
    except OSError as error:
        told = {"refused": errno.errorcode.get(error.errno, str(error))}
    print(json.dumps(told), flush=True)
