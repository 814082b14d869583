import type { Server } from 'node:net';
import { Connections } from './connections.js';
import { defaultLog, type Log, type LogEvent, quietly } from './log.js';
import { checkPhases, type FailedStep, type Phase, runPhase } from './phases.js';
import { readSettings, type Times } from './settings.js';
import { closeWebSockets, terminateWebSockets, type WebSocketServerLike } from './websockets.js';

export type { LogLine } from './log.js';
export type { Step } from './phases.js';
export type { WebSocketLike } from './websockets.js';
export type { FailedStep, Log, LogEvent, Phase, Times, WebSocketServerLike };

export interface Options extends Times {
  /** Servers of http, https, http2, net or tls, before they listen. Connections of net and tls servers are the app's. */
  servers?: Iterable<Server>;
  /** Clients get a close frame with code 1001 when the listeners close. */
  webSockets?: Iterable<WebSocketServerLike>;
  /** Clean-up after the last connection has closed: phases in order, the steps of a phase together. */
  phases?: Iterable<Phase>;
  /** Default: SIGTERM and SIGINT. */
  signals?: Iterable<NodeJS.Signals>;
  /** Whether an uncaught exception or an unhandled rejection is logged and exits with 1. Default: the value of `exit`. */
  fatalErrors?: boolean;
  /** Whether the process exits at the end. With `false`, only `finished` tells it. Default: true. */
  exit?: boolean;
  /** Default: one line of JSON on stdout. */
  log?: Log;
}

export interface Outcome {
  /** The signal, or what `begin` was called with. */
  reason: string;
  exitCode: number;
  /** From the signal to the end. */
  ms: number;
  deadlinePassed: boolean;
  /** Milliseconds of each part that ended: `wait`, `connections`, then `phase 1`, `phase 2` and so on. */
  durations: Record<string, number>;
  failedSteps: FailedStep[];
}

export interface Shutdown {
  readonly begun: boolean;
  /** Aborts when the shutdown begins: for work that never ends by itself, such as consumers and event streams. */
  readonly signal: AbortSignal;
  readonly finished: Promise<Outcome>;
  /** The status of a health check. */
  health(): 200 | 503;
  /** The body of a health check, for JSON. */
  healthBody(): { status: 'ok' | 'shutting down' };
  /** A handler for the health check of any framework whose handlers take Node.js' request and response. */
  answerHealth(request: unknown, response: HealthResponse): void;
  /** Shuts down without a signal. The first call counts, and a signal is such a call. */
  begin(reason: string, exitCode?: number): Promise<Outcome>;
  /** Tracks another server. Call it before a client can connect, such as `add(app.listen(3000))`. */
  add<S extends Server>(server: S): S;
  /** Removes the handlers of signals and errors, for an app that ends without a shutdown, as in a test. */
  detach(): void;
}

export interface HealthResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** How often idle connections are checked during the shutdown. */
const SWEEP_MS = 50;
/** The shutdown that exits the process: there can be one. The key is the same for both builds of this package. */
const ACTIVE = Symbol.for('winddown-node.active');

/**
 * Shuts down servers gracefully on SIGTERM or SIGINT.
 *
 * After the signal, health checks fail, and answers tell clients to close the connection. After `waitMs`, the listeners
 * close, and WebSockets get their close frame. Open requests finish, the clean-up runs, and the process exits with 0.
 * After `deadlineMs` it exits with 1 in any case.
 */
export function gracefulShutdown(options: Options = {}): Shutdown {
  const { exit = true, fatalErrors = exit } = options;
  const holder = process as { [ACTIVE]?: AbortController | undefined };
  if (exit && holder[ACTIVE]) {
    throw new Error('gracefulShutdown was called before: use one call for all servers, or add(), or exit: false');
  }
  const { problems, ...times } = readSettings(options, process.env);
  const webSockets = [...(options.webSockets ?? [])];
  const phases = [...(options.phases ?? [])];
  checkPhases(phases);
  const signals = [...(options.signals ?? (['SIGTERM', 'SIGINT'] as const))];
  const write = quietly(options.log ?? defaultLog);
  const tracked = new Map<Server, Connections>();
  const timers: NodeJS.Timeout[] = [];
  const closing: Promise<void>[] = [];
  const abort = new AbortController();
  const { promise: finished, resolve } = withResolvers<Outcome>();
  const outcome: Outcome = { reason: '', exitCode: 0, ms: 0, deadlinePassed: false, durations: {}, failedSteps: [] };
  /** What a passed deadline waited for. */
  const pending = new Set<string>();
  let begunAt = 0;
  let listening = true;
  let ended = false;

  const begun = () => abort.signal.aborted;
  const elapsed = () => Math.round(performance.now() - begunAt);
  const sum = (count: (each: Connections) => number) =>
    [...tracked.values()].reduce((total, each) => total + count(each), 0);
  const always = (event: LogEvent, more: object = {}) => {
    const connections = sum((each) => each.size);
    const openRequests = sum((each) => each.openRequests);
    write({ event, ...(begun() && { ms: elapsed() }), connections, openRequests, ...more });
  };
  const log: typeof always = (...line) => {
    if (!ended) always(...line);
  };
  const webSocketFailed = (error: unknown) => log('web-socket-failed', { error: String(error) });
  const timed = async (name: string, work: () => Promise<unknown>) => {
    const from = performance.now();
    pending.add(name);
    await work();
    pending.delete(name);
    outcome.durations[name] = Math.round(performance.now() - from);
  };

  async function shutDown(): Promise<void> {
    log('begun', { reason: outcome.reason, ...times });
    const passed = () => {
      log('deadline-passed', { pending: [...pending] });
      outcome.deadlinePassed = true;
      end(1);
    };
    timers.push(setTimeout(passed, times.deadlineMs).unref());
    for (const connections of tracked.values()) connections.drain();
    // setImmediate runs after the poll phase, so requests that have arrived are read before connections are closed. A
    // timer runs before it.
    const sweep = () => {
      for (const connections of tracked.values()) connections.closeQuiet(times.waitMs, times.bodyMs);
    };
    timers.push(setInterval(() => setImmediate(sweep), SWEEP_MS).unref());

    await timed('wait', () => new Promise((done) => setTimeout(() => setImmediate(done), times.waitMs)));
    listening = false;
    for (const connections of tracked.values()) closing.push(connections.close());
    log('listeners-closed');
    await timed('connections', closeConnections);
    log('connections-closed');

    for (const [index, phase] of phases.entries()) {
      const name = `phase ${index + 1}`;
      const failed = (step: FailedStep) => {
        outcome.failedSteps.push(step);
        log('step-failed', step);
      };
      if (ended) return;
      await timed(name, () => runPhase(index + 1, phase, pending, failed));
      log('phase-finished', { phase: index + 1, steps: Object.keys(phase) });
    }
    end(outcome.exitCode);
  }

  async function closeConnections(): Promise<void> {
    const destroy = (clients: WebSocketServerLike[]) => {
      const terminated = terminateWebSockets(clients, webSocketFailed);
      const destroyed = sum((each) => each.destroyUpgraded());
      if (terminated + destroyed > 0) log('web-sockets-destroyed', { terminated, destroyed });
    };
    const atLimit = () => {
      destroy(webSockets);
      // A request that arrives later can upgrade its connection.
      timers.push(setInterval(destroy, SWEEP_MS, []).unref());
    };
    timers.push(setTimeout(atLimit, times.webSocketMs).unref());
    closing.push(closeWebSockets(webSockets, webSocketFailed));
    // Servers that are added or begin to listen meanwhile count, too.
    for (let known = 0; known < closing.length; ) {
      known = closing.length;
      await Promise.all(closing);
    }
  }

  function end(exitCode: number): void {
    if (ended) return;
    Object.assign(outcome, { exitCode, ms: elapsed() });
    log('finished', outcome);
    ended = true;
    for (const timer of timers) clearTimeout(timer);
    resolve(outcome);
    if (exit) {
      // After the callbacks of `finished`.
      setImmediate(() => process.exit(exitCode));
    } else {
      for (const connections of tracked.values()) connections.destroyAll();
      detach();
    }
  }

  function begin(reason: string, exitCode = 0): Promise<Outcome> {
    if (begun()) return finished;
    Object.assign(outcome, { reason, exitCode });
    // Where nothing keeps the process alive while a step is pending, Node.js exits with this.
    if (exit) process.exitCode = 1;
    begunAt = performance.now();
    abort.abort();
    void shutDown();
    return finished;
  }

  function onSignal(signal: NodeJS.Signals): void {
    if (begun()) log('signal-ignored', { signal });
    else void begin(signal);
  }

  // The state of the app is unknown after these, so a graceful shutdown is not possible.
  const onFatal = (kind: LogEvent) => (error: unknown) => {
    always(kind, { error: String((error instanceof Error && error.stack) || error) });
    process.exit(1);
  };
  const onException = onFatal('uncaught-exception');
  const onRejection = onFatal('unhandled-rejection');

  function detach(): void {
    for (const signal of signals) process.off(signal, onSignal);
    process.off('uncaughtException', onException).off('unhandledRejection', onRejection);
    if (holder[ACTIVE] === abort) holder[ACTIVE] = undefined;
  }

  function add<S extends Server>(server: S): S {
    if (tracked.has(server)) return server;
    const connections = new Connections(server);
    tracked.set(server, connections);
    if (begun()) connections.drain();
    const closeLate = () => {
      if (!listening && !ended) closing.push(connections.close());
    };
    closeLate();
    // A server that was not listening when the others closed.
    server.on('listening', closeLate);
    return server;
  }

  for (const server of options.servers ?? []) add(server);
  for (const signal of signals) process.on(signal, onSignal);
  if (fatalErrors) process.on('uncaughtException', onException).on('unhandledRejection', onRejection);
  if (exit) holder[ACTIVE] = abort;
  for (const problem of problems) log('setting-not-used', { problem });

  const health = () => (begun() ? 503 : 200);
  const healthBody = () => ({ status: begun() ? ('shutting down' as const) : ('ok' as const) });
  return {
    get begun() {
      return begun();
    },
    signal: abort.signal,
    finished,
    health,
    healthBody,
    answerHealth(_request, response) {
      response.statusCode = health();
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(healthBody()));
    },
    begin,
    add,
    detach,
  };
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
