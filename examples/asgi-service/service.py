"""An HTTP server that shuts down without dropping a request. Copy shutdown.py into your service."""

import asyncio
import os
import socket

from shutdown import GracefulServer


async def main() -> None:
    work = number("WORK_MS", 50) / 1000

    async def app(scope, receive, send) -> None:
        if scope["path"] == "/health":
            await respond(send, 503 if server.begun else 200)
            return
        # A body that is still unread when its connection closes makes the kernel send a reset after the response.
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(work)
        await respond(send, 200)

    # Clients must close idle connections before the server does: its idle timeout is longer than theirs.
    wait = number("SHUTDOWN_WAIT_MS", 1000) / 1000
    server = GracefulServer(app, wait=wait, timeout_keep_alive=75, lifespan="off", log_config=None)
    await asyncio.sleep(number("START_MS", 0) / 1000)  # as a connection to a database
    listener = socket.create_server(("", number("PORT", 3000)))
    server.log("listening", port=listener.getsockname()[1])
    await server.serve([listener])
    # Close database, cache and queue here, or in the app's lifespan: no request is open any more.
    server.log("finished", exitCode=0)


async def respond(send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def number(name: str, default: int) -> int:
    """A whole number from the environment."""
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise SystemExit(f"{name}={text}: not a whole number")
    return int(text)


if __name__ == "__main__":
    asyncio.run(main())
