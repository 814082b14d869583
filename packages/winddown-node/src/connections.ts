import { Server as HttpServer, type ServerResponse } from 'node:http';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Server as HttpsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';

/** The connections of one server: HTTP/1.1, HTTP/2 and WebSockets, with or without TLS. */
export class Connections {
  readonly #server: NetServer;
  readonly #all = new Set<Socket>();
  /** Connections on which an HTTP/1.1 request or a TLS handshake can arrive, with their last activity. */
  readonly #kept = new Map<Socket, { bytesRead: number; quietSince: number; isRaw: boolean }>();
  readonly #sessions = new Map<ServerHttp2Session, Set<ServerHttp2Stream>>();
  readonly #upgraded = new Set<Socket>();
  readonly #responses = new Set<ServerResponse>();
  #state: 'serving' | 'draining' | 'closing' = 'serving';

  constructor(server: NetServer) {
    this.#server = server;
    // Http2Server and Http2SecureServer are not exported.
    const isHttp2 = 'updateSettings' in server;
    const isTls = server instanceof TlsServer;
    server.on('connection', (socket: Socket) => {
      this.#all.add(socket);
      socket.once('close', () => this.#all.delete(socket));
      if (server instanceof HttpServer || isTls) this.#keep(socket, isTls);
    });
    if (isTls) {
      server.on('secureConnection', (socket: TLSSocket) => {
        if (server instanceof HttpsServer || (isHttp2 && socket.alpnProtocol !== 'h2')) this.#keep(socket, false);
      });
    }
    server.on('session', (session: ServerHttp2Session) => this.#addSession(session));
    joinListeners(server, 'request', (_request, response: ServerResponse) => this.#addResponse(response));
    for (const event of ['upgrade', 'connect']) {
      joinListeners(server, event, (_request, socket: Socket) => {
        this.#kept.delete(socket);
        this.#upgraded.add(socket);
        socket.once('close', () => this.#upgraded.delete(socket));
      });
    }
  }

  get size(): number {
    return this.#all.size;
  }

  get openRequests(): number {
    let count = this.#responses.size;
    for (const streams of this.#sessions.values()) count += streams.size;
    return count;
  }

  /** From now on, answers tell clients to close the connection. */
  drain(): void {
    this.#state = 'draining';
    this.#responses.forEach(closeAfter);
    const quietSince = performance.now();
    for (const [socket, seen] of this.#kept) Object.assign(seen, { bytesRead: socket.bytesRead, quietSince });
    for (const [session, streams] of this.#sessions) if (streams.size > 0) session.close();
  }

  /** Closes the listener and idle HTTP/2 sessions; the promise resolves when the last connection has closed. */
  close(): Promise<void> {
    this.#state = 'closing';
    // Not close() of http: it also destroys connections whose last answer is not fully sent, which truncates large answers.
    const closed = new Promise<void>((resolve) => {
      // A timer, because the last connection emits close in a later phase of the event loop than the server.
      NetServer.prototype.close.call(this.#server, () => setTimeout(resolve));
    });
    for (const session of this.#sessions.keys()) session.close();
    return closed;
  }

  /**
   * Closes kept connections that were idle for a whole wait. The others close after an answer with `Connection: close`;
   * closing them here could reset the next request of the client.
   */
  closeQuiet(waitMs: number): void {
    const now = performance.now();
    const answering = new Set([...this.#responses].map((response) => response.req.socket));
    for (const [socket, seen] of this.#kept) {
      if (seen.isRaw && socket.bytesRead > 0) {
        // The handshake began: what follows is on the socket of secureConnection.
        this.#kept.delete(socket);
      } else if (answering.has(socket) || socket.bytesRead !== seen.bytesRead) {
        Object.assign(seen, { bytesRead: socket.bytesRead, quietSince: now });
      } else if (now - seen.quietSince >= waitMs) {
        socket.destroy();
      }
    }
  }

  /** Destroys WebSockets and other upgraded connections; returns their number. */
  destroyUpgraded(): number {
    const count = this.#upgraded.size;
    for (const socket of this.#upgraded) socket.destroy();
    return count;
  }

  destroyAll(): void {
    for (const session of this.#sessions.keys()) session.destroy();
    for (const socket of this.#all) socket.destroy();
  }

  #keep(socket: Socket, isRaw: boolean): void {
    this.#kept.set(socket, { bytesRead: 0, quietSince: performance.now(), isRaw });
    socket.once('close', () => this.#kept.delete(socket));
  }

  #addResponse(response: ServerResponse): void {
    // The compatibility API of HTTP/2: its streams are counted.
    if (response.req.httpVersionMajor !== 1) return;
    this.#responses.add(response);
    if (this.#state !== 'serving') closeAfter(response);
    response.once('close', () => this.#responses.delete(response));
  }

  #addSession(session: ServerHttp2Session): void {
    const streams = new Set<ServerHttp2Stream>();
    this.#sessions.set(session, streams);
    session.once('close', () => this.#sessions.delete(session));
    if (this.#state === 'closing') session.close();
    session.on('stream', (stream: ServerHttp2Stream) => {
      streams.add(stream);
      stream.once('close', () => streams.delete(stream));
      // GOAWAY before the answer, so that a client that waits for it sends its next request elsewhere. Not earlier: a
      // stream that crosses GOAWAY is refused, also after a GOAWAY that announces the end and refuses none.
      if (this.#state === 'draining') session.close();
    });
  }
}

/** Sends `Connection: close`, and closes the connection only when the request is read. */
function closeAfter(response: ServerResponse): void {
  if (response.headersSent) return;
  // Node.js then sends the header. A header of ours would be removed by error handlers such as Koa's.
  response.shouldKeepAlive = false;
  if (response.hasHeader('Connection')) response.setHeader('Connection', 'close');

  // Node.js closes with destroySoon after the answer. The system would then send a reset, if a part of the request is
  // unread, and the client could lose the answer.
  const { req } = response;
  const { socket } = req;
  const destroySoon = socket.destroySoon;
  socket.destroySoon = () => {
    if (req.complete) destroySoon.call(socket);
    else req.once('close', () => destroySoon.call(socket)).resume();
  };
}

/**
 * Adds a listener that runs before the others, and only while there are others: with a listener for these events, the
 * server changes its behaviour.
 */
// biome-ignore lint/suspicious/noExplicitAny: each event has its own arguments
function joinListeners(server: NetServer, event: string, listener: (...values: any[]) => void): void {
  const join = () => {
    if (!server.listeners(event).includes(listener)) server.prependListener(event, listener);
  };
  if (server.listenerCount(event) > 0) join();
  server.on('newListener', (name, added) => {
    if (name === event && added !== listener) join();
  });
  server.on('removeListener', (name, removed) => {
    if (name === event && removed !== listener && server.listenerCount(event) === 1) server.off(event, listener);
  });
}
