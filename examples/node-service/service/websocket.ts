import type { Server } from 'node:http';
import { WebSocketServer } from 'ws';
import { outages } from './log.ts';

const MOST_CLIENTS = 1_000;
/** A client that reads slower than this many bytes behind misses messages. */
const MOST_BUFFERED_BYTES = 64 * 1024;

/** The endpoint /ws: tells its clients which orders were completed in this replica. */
export function webSocketEndpoint(server: Server): { webSockets: WebSocketServer; completed: (id: string) => void } {
  const webSockets = new WebSocketServer({
    server,
    path: '/ws',
    maxPayload: 1024,
    verifyClient: () => webSockets.clients.size < MOST_CLIENTS,
  });
  webSockets.on('connection', (client) => client.on('error', outages('websocket').failed));

  const completed = (id: string) => {
    const message = JSON.stringify({ completed: id });
    for (const client of webSockets.clients) {
      if (client.readyState === client.OPEN && client.bufferedAmount < MOST_BUFFERED_BYTES) client.send(message);
    }
  };
  return { webSockets, completed };
}
