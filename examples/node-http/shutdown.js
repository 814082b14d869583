import { Server } from 'node:net';

// How often the sockets are looked at once shutdown has begun.
const SWEEP_MS = 50;

/**
 * Shuts an HTTP server down in order on SIGTERM or SIGINT.
 *
 * From the signal on, every answer carries `Connection: close`. The listener stays open for another `waitMs`, so that
 * a balancer sees the health check fail and a client with a kept connection gets an answer that tells it to let go.
 * Then the listener closes, open answers finish, the clean-up steps run and the process exits 0. After `deadlineMs` it
 * exits 1, finished or not.
 *
 * Call it before the server listens. `cleanUp` maps a step's name to an async function; the steps run together.
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

  // In front of the application's own listener, which may answer at once.
  server.prependListener('request', (request, response) => {
    open.add(response);
    if (state.begun) tellToClose(response);
    response.once('close', () => {
      open.delete(response);
      const seen = sockets.get(request.socket);
      if (seen) seen.quietSince = performance.now();
    });
  });

  // Only a socket that stayed quiet for a whole wait is closed: one in use goes by itself with the answer that says
  // so, while closing it here could cross with the client's next request, which the client would see as a reset.
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

    // setImmediate runs right after the poll phase, so what a client has already sent has been read before anything is
    // closed; a timer runs before it.
    setInterval(() => setImmediate(closeQuietSockets), SWEEP_MS);
    setTimeout(() => setImmediate(closeListener), waitMs);
  }

  function closeListener() {
    // Not http's own close(): it also destroys sockets whose last answer has been handed over but not sent yet, which
    // cuts a large answer short.
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
  // Nothing is known about the state after these, so there is no order left to shut down in.
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
