"""One HTTP exchange with a model server, over TCP or a Unix socket, read whole or not at all.

The client takes nothing from the environment (no proxy, no netrc), follows no redirect, keeps no cookie and reads
at most ``MAX_BODY`` bytes of an answer. One session with kept-alive connections serves all questions.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlb_offline.airgap.guard import current
from mlb_offline.airgap.modes import Mode, addresses
from mlb_offline.target import faults
from mlb_offline.target.faults import Answer, Context

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

MAX_BODY = 8 * 2**20
"""Bytes of one answer; 100 times the longest honest one."""

_KEEP_ALIVE = 3.0  # seconds; below the 5 s of uvicorn, so that we never reuse what the server is just closing
_CONNECT = 30.0  # seconds; a local server that takes longer to accept is not up
_HEADER_LIMIT = 16_384


@dataclass(frozen=True)
class Endpoint:
    """Where a server is and how it is spoken to.

    Attributes:
        shown: the address as it stands in descriptions and messages.
        base: URL up to and including the API path, without a slash at its end.
        socket: path of the Unix socket, or None for TCP.
        tls: for https.
        headers: all headers to send; may hold secrets.
        secrets: values that no message may repeat.
        timeout_s: seconds for one whole exchange.
    """

    shown: str
    base: str
    socket: str | None
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    timeout_s: float


class Client:
    """Keeps one session to one endpoint; made anywhere, used inside one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, method: str, path: str, body: bytes | None, context: Context) -> Answer:
        """Send one request, return the whole answer, whatever its status.

        Raises:
            Retry: timeout, connection refused or lost.
            TargetError: TLS, permission, not a socket, not HTTP, no such host.
            ItemFailed: the answer is over ``MAX_BODY``.
        """
        import aiohttp

        if self._endpoint.socket is not None:
            _require_socket(self._endpoint.socket, context)
        try:
            async with self._opened().request(
                method, self._endpoint.base + path, data=body, allow_redirects=False
            ) as response:
                content = await _read(response, context)
                framed = response.content_length is not None or "Transfer-Encoding" in response.headers
                return Answer(response.status, response.headers, content, framed)
        except TimeoutError:
            raise faults.timed_out(context, self._endpoint.timeout_s) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise faults.tls_failed(error.certificate_error, context) from None
        except aiohttp.ClientConnectorError as error:
            raise faults.cannot_connect(error, context) from None
        except aiohttp.ClientResponseError:
            raise faults.not_http(context) from None
        except (aiohttp.ClientError, ConnectionError):
            raise faults.connection_lost(context) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            endpoint = self._endpoint
            connector: aiohttp.BaseConnector
            if endpoint.socket is not None:
                connector = aiohttp.UnixConnector(path=endpoint.socket, limit=0, keepalive_timeout=_KEEP_ALIVE)
            else:
                connector = aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=endpoint.tls or True, resolver=_resolver()
                )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=endpoint.timeout_s, sock_connect=min(_CONNECT, endpoint.timeout_s)),
                headers=endpoint.headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                max_line_size=_HEADER_LIMIT,
                max_field_size=_HEADER_LIMIT,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # lets the transports finish closing before the loop ends
            self._session = None


def _resolver() -> AbstractResolver | None:
    """Under the guard the hosts file alone tells addresses (``modes.addresses``); else aiohttp's own way."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    if current().mode is Mode.NONE:
        return None

    class HostsFile(AbstractResolver):
        async def resolve(
            self,
            host: str,
            port: int = 0,
            family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the connector sorts them itself
        ) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=str(address),
                    port=port,
                    family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in addresses(host)
            ]

        async def close(self) -> None:
            pass

    return HostsFile()


async def _read(response: aiohttp.ClientResponse, context: Context) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_BODY:
            response.close()
            raise faults.too_large(context, MAX_BODY)
    return bytes(content)


def _require_socket(path: str, context: Context) -> None:
    """Tell a file that is no socket from a socket without a server: connect() says "refused" to both.

    Raises:
        TargetError: the path is something else than a socket.
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return  # connect() names the reason
    if not stat.S_ISSOCK(mode):
        raise faults.not_a_socket(context)
