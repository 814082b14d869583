import { Server } from 'node:net';

// How often idle sockets are checked during the shutdown.
const SWEEP_MS = 50;

/**
 * Shuts down an HTTP server gracefully on SIGTERM or SIGINT.
 *
 * After the signal, every answer has the header `Connection: close`. The listener stays open for another `waitMs`, so
 * that load balancers see the health check fail, and clients with kept connections get an answer with that header.
 * Then the listener closes, open answers finish, the clean-up steps run, and the process exits with 0. After
 * `deadlineMs` it exits with 1 in any case.
 *
 * Call it before the server listens. `cleanUp` maps the names of steps to async functions, which run concurrently.
 */
export function shutDownInOrder(server, { waitMs, deadlineMs, cleanUp = {}, log }) {
  const state = { begun: false };
  const sockets = new Map();
  const open = new Set();
  let signalAt;

  const phase = (name, more = {}) => {
    const ms = Math.round(performance.now() - signalAt);
    log({ phase: name, ms, openAnswers: open.size, sockets: sockets.size, ...more });
  };

  server.on('connection', (socket) => {
    sockets.set(socket, { bytesRead: 0, quietSince: performance.now() });
    socket.once('close', () => sockets.delete(socket));
  });

  // Runs before the listener of the application, which may answer immediately.
  server.prependListener('request', (request, response) => {
    open.add(response);
    if (state.begun) tellToClose(response);
    response.once('close', () => {
      open.delete(response);
      const seen = sockets.get(request.socket);
      if (seen) seen.quietSince = performance.now();
    });
  });

  // Only sockets that were idle for a whole wait are closed. The others close after an answer with Connection: close;
  // closing them here could reset the next request of the client.
  function closeQuietSockets() {
    const now = performance.now();
    const answering = new Set([...open].map((response) => response.req.socket));
    for (const [socket, seen] of sockets) {
      if (answering.has(socket) || socket.bytesRead !== seen.bytesRead) {
        seen.bytesRead = socket.bytesRead;
        seen.quietSince = now;
      } else if (now - seen.quietSince >= waitMs) {
        socket.destroy();
      }
    }
  }

  function begin(signal) {
    if (state.begun) {
      phase('signal ignored, shutdown is under way', { signal });
      return;
    }
    state.begun = true;
    signalAt = performance.now();
    open.forEach(tellToClose);
    for (const [socket, seen] of sockets) Object.assign(seen, { bytesRead: socket.bytesRead, quietSince: signalAt });
    phase('shutdown begun, health fails', { signal });

    setTimeout(() => {
      phase('deadline passed, exit 1');
      process.exit(1);
    }, deadlineMs).unref();

    // setImmediate runs after the poll phase, so requests that have arrived are read before sockets are closed. A timer
    // runs before it.
    setInterval(() => setImmediate(closeQuietSockets), SWEEP_MS);
    setTimeout(() => setImmediate(closeListener), waitMs);
  }

  function closeListener() {
    // Not close() of http: it also destroys sockets whose last answer is not fully sent, which truncates large answers.
    Server.prototype.close.call(server, finish);
    phase('listener closed');
  }

  async function finish() {
    phase('connections closed');
    const names = Object.keys(cleanUp);
    const outcomes = await Promise.allSettled(names.map(async (name) => cleanUp[name]()));
    outcomes.forEach(({ status, reason }, i) => {
      if (status === 'rejected') phase('clean-up failed', { step: names[i], error: String(reason) });
    });
    phase('exit 0');
    process.exit(0);
  }

  process.on('SIGTERM', begin);
  process.on('SIGINT', begin);
  // The state of the app is unknown after these, so a graceful shutdown is not possible.
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error) => {
      log({ phase: `${event}, exit 1`, error: String(error?.stack ?? error) });
      process.exit(1);
    });
  }

  return state;
}

function tellToClose(response) {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}
