import { once } from 'node:events';
import { gracefulShutdown } from 'winddown-node';

/** A shutdown in this process, with short times. */
export function embed(options = {}) {
  const lines = [];
  const shutdown = gracefulShutdown({
    exit: false,
    waitMs: 50,
    deadlineMs: 2000,
    log: (line) => lines.push(line),
    ...options,
  });
  return { shutdown, lines };
}

export async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port };
}
