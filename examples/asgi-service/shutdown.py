"""A uvicorn server that shuts down in order: health fails, a short wait, the listener closes, open requests finish."""

import asyncio
import contextlib
import json
import os
import re
import signal
import threading
import time

import uvicorn


class GracefulServer(uvicorn.Server):
    """`serve` returns after SIGTERM or SIGINT, when no connection is left. At the deadline, the process exits with 1.

    The wait, in seconds, is a part of the deadline: at least half of it remains for open requests.
    """

    def __init__(self, app, *, wait: float, **config) -> None:
        super().__init__(uvicorn.Config(self._tell_to_close(app), **config))
        self.begun = False
        self.signal_at = time.monotonic()
        self.deadline = self._deadline()
        self.wait = min(wait, self.deadline / 2)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._on_signal, name)

    def _deadline(self) -> int:
        text = os.environ.get("WINDDOWN_DEADLINE_SECONDS", "25")
        if re.fullmatch("[0-9]{1,7}", text) and int(text) <= 30 * 24 * 60 * 60:
            return int(text)
        self.log("setting-not-used", WINDDOWN_DEADLINE_SECONDS=text, used=25)
        return 25

    def _on_signal(self, name: signal.Signals) -> None:
        if self.begun:
            self.log("signal-ignored", signal=name.name)
            return
        self.begun = True
        self.signal_at = time.monotonic()
        # Before the first line of the log: each of them blocks while stdout is full.
        self._start(self.deadline + 0.2, lambda: os._exit(1))
        self.log("begun", signal=name.name)
        self._start(self.deadline, self._exit)
        asyncio.get_running_loop().call_later(self.wait, setattr, self, "should_exit", True)

    def _start(self, seconds: float, function) -> None:
        # A thread: it works even if a request blocks the event loop from now on.
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()

    def _exit(self) -> None:
        self.log("deadline-passed")
        os._exit(1)

    def _tell_to_close(self, app):
        """Adds Connection: close to every response that starts after the signal."""

        async def closing(scope, receive, send) -> None:
            async def send_closing(message) -> None:
                if self.begun and message["type"] == "http.response.start":
                    others = [header for header in message.get("headers", []) if header[0].lower() != b"connection"]
                    message = {**message, "headers": [*others, (b"connection", b"close")]}
                await send(message)

            await app(scope, receive, send_closing)

        return closing

    @contextlib.contextmanager
    def capture_signals(self):
        """Replaces uvicorn's handlers. They close the listener immediately, a second SIGINT ends open requests, and at
        the end they raise the signal again, so that the exit code is not 0."""
        yield

    async def shutdown(self, sockets=None) -> None:
        self.log("listeners-closed")
        await super().shutdown(sockets)
        self.log("connections-closed")

    def log(self, event: str, **more) -> None:
        ms = round((time.monotonic() - self.signal_at) * 1000)
        # The deadline must end the process also if stdout is closed.
        with contextlib.suppress(OSError):
            print(json.dumps({"event": event, "ms": ms, **more}), flush=True)
