// What all apps share: the server, its WebSockets and its clean-up. Each app adds one library, as its README recommends.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

export { DEADLINE_MS, WAIT_MS } from '../limits.js';

const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x');

export const log = (line) => console.log(JSON.stringify(line));

export const server = createServer(async (request, response) => {
  const [path, ms] = request.url.split('?');
  log({ event: `request ${path}` });
  if (path === '/throw')
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
  else if (path === '/large') response.end(LARGE);
  else {
    await sleep(Number(ms ?? 0));
    response.end('ok');
  }
});
// As a server behind a load balancer has it.
server.keepAliveTimeout = 75_000;

export const webSockets = new WebSocketServer({ server });

/** The clean-up: one step takes a while, and one may fail. */
export const steps = {
  async broken() {
    if (process.env.FAILING) throw new Error('already gone');
  },
  async sound() {
    await sleep(100);
    log({ event: 'sound step' });
  },
};
export const cleanUp = () => Promise.allSettled([steps.broken(), steps.sound()]);

export function listen(more = {}) {
  server.listen(0, '127.0.0.1', () => log({ event: 'listening', port: server.address().port, ...more }));
}
