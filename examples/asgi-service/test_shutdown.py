import asyncio
import unittest

from shutdown import GracefulServer


class TellToClose(unittest.IsolatedAsyncioTestCase):
    async def test_close_replaces_the_connection_header_of_the_app(self) -> None:
        headers = [(b"Connection", b"keep-alive"), (b"x-app", b"1")]

        async def app(_scope, _receive, send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})

        server = GracefulServer(app, wait=0)
        server.begun = True
        sent = asyncio.Queue()
        await server.config.app({"type": "http"}, None, sent.put)
        self.assertEqual(sent.get_nowait()["headers"], [(b"x-app", b"1"), (b"connection", b"close")])


if __name__ == "__main__":
    unittest.main()
