/** A `WebSocketServer` of the package `ws`, or one with the same methods. */
export interface WebSocketServerLike {
  /** Undefined where clients are not tracked. */
  readonly clients?: Iterable<WebSocketLike> | undefined;
  close(done?: (error?: Error) => void): void;
}

export interface WebSocketLike {
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The close code of a server that goes away (RFC 6455, section 7.4.1). */
const GOING_AWAY = 1001;

type Failed = (error: unknown) => void;

/** Sends a close frame to each client. The promise resolves when the servers have closed and all clients are gone. */
export async function closeWebSockets(servers: readonly WebSocketServerLike[], failed: Failed): Promise<void> {
  const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())).catch(failed));
  forEachClient(servers, failed, (client) => client.close(GOING_AWAY, 'server shuts down'));
  await Promise.all(closed);
}

/** Terminates clients that are still connected; returns their number. */
export function terminateWebSockets(servers: readonly WebSocketServerLike[], failed: Failed): number {
  return forEachClient(servers, failed, (client) => client.terminate());
}

/** An error of one client stops no other. */
function forEachClient(
  servers: readonly WebSocketServerLike[],
  failed: Failed,
  action: (client: WebSocketLike) => void,
): number {
  const clients = servers.flatMap((server) => [...(server.clients ?? [])]);
  for (const client of clients) {
    try {
      action(client);
    } catch (error) {
      failed(error);
    }
  }
  return clients.length;
}
