import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Server as HttpsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';

/** A connection on which an HTTP/1.1 request, a TLS handshake or the end of an HTTP/2 session can arrive. */
interface Kept {
  socket: Socket;
  bytesRead: number;
  quietSince: number;
  /** In the order of their requests. There are several if the client does not wait for answers (pipelining). */
  responses: Set<ServerResponse>;
}

/** The connections of one server: HTTP/1.1, HTTP/2 and WebSockets, with or without TLS. */
export class Connections {
  readonly #server: NetServer;
  readonly #all = new Set<Socket>();
  /** By socket; until the end of a TLS handshake, which makes another socket, by the address of the client. */
  readonly #kept = new Map<Socket | string, Kept>();
  readonly #sessions = new Map<ServerHttp2Session, Set<ServerHttp2Stream>>();
  readonly #upgraded = new Set<Socket>();
  #state: 'serving' | 'draining' | 'closing' = 'serving';

  constructor(server: NetServer) {
    this.#server = server;
    // Http2Server and Http2SecureServer are not exported.
    const isHttp2 = 'updateSettings' in server;
    const isTls = server instanceof TlsServer;
    server.on('connection', (socket: Socket) => {
      this.#all.add(socket);
      socket.once('close', () => this.#all.delete(socket));
      if (isTls) this.#keep(addressOf(socket), socket);
      else if (server instanceof HttpServer) this.#keep(socket, socket);
    });
    if (isTls) {
      server.on('secureConnection', (socket: TLSSocket) => {
        this.#kept.delete(addressOf(socket));
        if (server instanceof HttpsServer || (isHttp2 && socket.alpnProtocol !== 'h2')) this.#keep(socket, socket);
      });
    }
    server.on('session', (session: ServerHttp2Session) => this.#addSession(session));
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      joinListeners(server, event, (_request, response: ServerResponse) => this.#addResponse(response));
    }
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
    let count = 0;
    for (const { responses } of this.#kept.values()) count += responses.size;
    for (const streams of this.#sessions.values()) count += streams.size;
    return count;
  }

  /** From now on, answers tell clients to close the connection. */
  drain(): void {
    this.#state = 'draining';
    const quietSince = performance.now();
    for (const kept of this.#kept.values()) {
      Object.assign(kept, { bytesRead: kept.socket.bytesRead, quietSince });
      for (const response of kept.responses) closeAfter(response, kept);
    }
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
   * Closes kept connections that sent nothing for a whole wait, or stopped in the middle of a request body. The others
   * close after an answer with `Connection: close`; closing them here could reset the next request of the client.
   */
  closeQuiet(waitMs: number, bodyMs: number): void {
    const now = performance.now();
    for (const kept of this.#kept.values()) {
      const { socket, responses } = kept;
      // Where only the end of the client is missing, time for the clean-up remains also after a long wait.
      const idleMs = socket.writableEnded ? Math.min(waitMs, bodyMs) : waitMs;
      // The requests before another one are complete.
      const [first] = responses;
      const isAnswering = first !== undefined && (!waitsForBody(first) || waitsForContinue(first));
      if (isAnswering || socket.bytesRead !== kept.bytesRead) {
        Object.assign(kept, { bytesRead: socket.bytesRead, quietSince: now });
      } else if (now - kept.quietSince >= (first ? bodyMs : idleMs)) {
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
    // The close() of http also ends a timer that keeps the server in memory. Where the server is closed, it would emit
    // `close` a second time.
    const silent = { emit: { value: () => false } };
    (this.#state === 'closing' ? Object.create(this.#server, silent) : this.#server).close();
  }

  #keep(key: Socket | string, socket: Socket): Kept {
    const kept = { socket, bytesRead: 0, quietSince: performance.now(), responses: new Set<ServerResponse>() };
    this.#kept.set(key, kept);
    socket.once('close', () => this.#kept.delete(key));
    return kept;
  }

  #addResponse(response: ServerResponse): void {
    const { httpVersionMajor, socket } = response.req;
    // The compatibility API of HTTP/2: its streams are counted.
    if (httpVersionMajor !== 1) return;
    const kept = this.#kept.get(socket) ?? this.#keep(socket, socket);
    // A handler of checkContinue may emit the request again.
    if (kept.responses.has(response)) return;
    kept.responses.add(response);
    if (this.#state !== 'serving') closeAfter(response, kept);
    response.once('close', () => kept.responses.delete(response));
  }

  #addSession(session: ServerHttp2Session): void {
    const streams = new Set<ServerHttp2Stream>();
    this.#sessions.set(session, streams);
    session.once('close', () => this.#sessions.delete(session));
    // The last frame is sent, and Node.js waits for the client to close, too.
    const socket = session.socket.once('finish', () => this.#keep(socket, socket));
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

const lastOf = <T>(values: Iterable<T>): T | undefined => [...values].at(-1);
const addressOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
/** Whether the app has read all that the client has sent, and the client has not sent all. */
const waitsForBody = ({ req }: ServerResponse): boolean => !req.complete && req.readableLength === 0;
/** Whether the client waits for `100 Continue`. The field is not documented; without it, the answer is no. */
const waitsForContinue = (response: ServerResponse & { _sent100?: boolean }): boolean =>
  response.req.headers.expect !== undefined && response._sent100 === false;

/** Sends `Connection: close`, and closes the connection only when the request is read. */
function closeAfter(response: ServerResponse, { responses }: Kept): void {
  if (response.headersSent) return;
  const { req, writeHead } = response;
  // Node.js calls it, too, and nothing can change the headers after it.
  response.writeHead = (...head: unknown[]) => {
    // With pipelining, the last answer says it: Node.js closes the connection after the first one that does.
    if (lastOf(responses) === response) {
      const given = head.findIndex((part) => typeof part === 'object' && part !== null);
      if (given === -1) response.setHeader('Connection', 'close');
      else head[given] = withClose(head[given] as object);
      closeWhenRead(req);
    }
    return writeHead.apply(response, head as Parameters<typeof writeHead>);
  };
}

/** Headers as writeHead() takes them: an object, a list of pairs, or names and values in turn. The form stays. */
function withClose(headers: object): object {
  const isOther = (name: unknown) => !/^connection$/i.test(String(name));
  if (!Array.isArray(headers)) {
    const others = Object.entries(headers).filter(([name]) => isOther(name));
    return { ...Object.fromEntries(others), Connection: 'close' };
  }
  if (!Array.isArray(headers[0])) {
    return [...headers.filter((_, index) => isOther(headers[index & ~1])), 'Connection', 'close'];
  }
  return [...headers.filter(([name]) => isOther(name)), ['Connection', 'close']];
}

/**
 * Node.js closes with destroySoon after the answer. The system would then send a reset, if a part of the request is
 * unread, and the client could lose the answer.
 */
function closeWhenRead(request: IncomingMessage): void {
  const { socket } = request;
  const { destroySoon } = socket;
  socket.destroySoon = () => {
    if (request.complete) destroySoon.call(socket);
    else request.once('close', () => destroySoon.call(socket)).resume();
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
