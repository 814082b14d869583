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
  const closed = [
    ...servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    ...clientsOf(servers).map(async (client) => client.close(GOING_AWAY, 'server shuts down')),
  ];
  await Promise.all(closed.map((each) => each.catch(failed)));
}

/** Terminates clients that are still connected; returns their number. */
export function terminateWebSockets(servers: readonly WebSocketServerLike[], failed: Failed): number {
  const terminated = clientsOf(servers).map(async (client) => client.terminate());
  for (const each of terminated) each.catch(failed);
  return terminated.length;
}

function clientsOf(servers: readonly WebSocketServerLike[]): WebSocketLike[] {
  return servers.flatMap(({ clients }) => [...(clients ?? [])]);
}
