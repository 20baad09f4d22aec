"""TLS and passwords before a broker of Kafka's protocol on loopback that has neither. It prints its port."""

import argparse
import asyncio
import contextlib
import ssl
import struct

import scramp

# Kafka's requests, and an error.
SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 33, 58


class Refused(Exception):
    """The client is not who it should be."""


def plain(user, password):
    """RFC 4616, a message at a time."""

    def step(message):
        if message != f"\0{user}\0{password}".encode():
            raise Refused
        return b"", True

    return step


def scram(mechanism, user, password):
    """RFC 5802, a message at a time."""
    known = scramp.ScramMechanism(mechanism)
    secret = known.make_auth_info(password)
    server = known.make_server({user: secret}.__getitem__)
    first = True

    def step(message):
        nonlocal first
        try:
            if first:
                first = False
                server.set_client_first(message.decode())
                return server.get_server_first().encode(), False
            server.set_client_final(message.decode())
            return server.get_server_final().encode(), True
        except (KeyError, scramp.ScramException) as error:
            raise Refused from error

    return step


async def message(reader):
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def send(writer, *parts):
    whole = b"".join(parts)
    writer.write(struct.pack(">i", len(whole)) + whole)


def compact(data):
    """With its length, seven bits a byte."""
    length, out = len(data) + 1, bytearray()
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(out) + bytes([length]) + data


def uncompact(data):
    length = shift = at = 0
    while True:
        byte = data[at]
        length, shift, at = length | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return data[at : at + length - 1]


async def authenticate(given, reader, writer, behind, before):
    """Until the client has shown that it knows the password; versions are asked for before."""
    step = None
    while True:
        request = await message(reader)
        kind, version, correlation, name = struct.unpack(">hhih", request[:10])
        body, answer = request[10 + max(name, 0) :], struct.pack(">i", correlation)
        if kind == API_VERSIONS:
            send(before, request)
            await before.drain()
            send(writer, await message(behind))
        elif kind == SASL_HANDSHAKE:
            wanted = body[2:].decode()
            right = wanted == given.mechanism
            if right:
                step = scram(wanted, given.user, given.password) if "SCRAM" in wanted else plain(given.user, given.password)
            offered = given.mechanism.encode()
            send(writer, answer, struct.pack(">hih", 0 if right else UNSUPPORTED_MECHANISM, 1, len(offered)), offered)
        elif kind == SASL_AUTHENTICATE and version == 2 and step:
            try:
                said, done = step(uncompact(body[1:]))
                error = 0
            except Refused:
                said, done, error = b"", False, AUTHENTICATION_FAILED
            # No message, no end of the session, no tagged fields.
            send(writer, answer, b"\0", struct.pack(">h", error), b"\0", compact(said), struct.pack(">q", 0), b"\0")
            if error:
                raise Refused
            if done:
                return
        else:
            raise Refused
        await writer.drain()


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int, help="of the broker")
    for name in ["mechanism", "user", "password", "certificate", "key", "authority"]:
        arguments.add_argument(f"--{name}")
    given = arguments.parse_args()
    context = None
    if given.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)
        context.load_verify_locations(given.authority)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader, writer):
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", given.port)
            await authenticate(given, reader, writer, behind, before)
        except (OSError, EOFError, Refused):
            with contextlib.suppress(OSError):
                await writer.drain()
            return writer.close()
        await asyncio.gather(copy(reader, before), copy(behind, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
