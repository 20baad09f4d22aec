"""TLS before a server that has none: `tls_front.py PORT CERTIFICATE KEY AUTHORITY`. The client is to have a
certificate of the authority. It prints the port of its own."""

import asyncio
import contextlib
import ssl
import sys


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def main():
    port, certificate, key, authority = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED

    async def pass_on(reader, writer):
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", int(port))
        except OSError:
            return writer.close()
        await asyncio.gather(copy(reader, before), copy(behind, writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
