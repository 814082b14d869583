// A server for the tests: its paths and its clean-up do what the tests need. Settings are environment variables.
import { createServer } from 'node:http';
import http2 from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { gracefulShutdown } from 'winddown-node';
import { WebSocketServer } from 'ws';
import { certificate } from './certificate.js';

const { PROTOCOL = 'http', WAIT_MS, DEADLINE_MS, WEB_SOCKET_MS, BODY_MS, STEPS, LISTEN = 'yes' } = process.env;
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x');
const log = (line) => {
  if (!process.stdout.errored) console.log(JSON.stringify(line));
};

async function handle(request, response) {
  const [path, ms = '0'] = request.url.split('?');
  switch (path) {
    case '/health':
      return shutdown.answerHealth(request, response);
    case '/slow':
      log({ event: 'slow request' });
      await begun;
      await sleep(Number(ms));
      return response.end('slow');
    case '/upload': {
      log({ event: 'slow request' });
      await sleep(Number(ms));
      let received = 0;
      request.on('data', (chunk) => (received += chunk.length));
      return request.on('end', () => response.end(`received ${received}`));
    }
    case '/begin-and-block': {
      void shutdown.begin('test');
      log({ event: 'blocked' });
      const end = performance.now() + Number(ms);
      while (performance.now() < end);
      return response.end();
    }
    case '/throw':
      return setImmediate(() => {
        throw new Error('thrown on purpose');
      });
    case '/reject':
      Promise.reject(new Error('rejected on purpose'));
      return undefined;
    case '/begin':
      response.end();
      return void shutdown.begin('lost its database', 3);
    case '/large':
      response.end(LARGE);
      return log({ event: 'large answer handed over' });
    case '/keep-alive':
      response.setHeader('Connection', 'keep-alive');
      log({ event: 'slow request' });
      await begun;
      await sleep(Number(ms));
      return response.end();
    case '/stream':
      response.write('first');
      await sleep(Number(ms));
      return response.end('last');
    case '/streams-until-shutdown':
      response.write('first');
      return shutdown.signal.addEventListener('abort', () => response.end('last'));
    default:
      return response.end('ok');
  }
}

const server = {
  http: () => createServer(handle),
  https: () => createTlsServer(certificate(), handle),
  h2c: () => http2.createServer(handle),
  'h2c-streams': () =>
    http2.createServer().on('stream', async (stream) => {
      log({ event: 'slow request' });
      await begun;
      await sleep(500);
      stream.respond({ ':status': 200 });
      stream.end('ok');
    }),
  h2: () => http2.createSecureServer({ ...certificate(), allowHTTP1: true }, handle),
}[PROTOCOL]();

const webSockets = new WebSocketServer({ noServer: true });
if (process.env.WEB_SOCKETS) {
  server.on('upgrade', (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data) => client.send(String(data)));
      client.send('welcome');
    });
  });
}

const steps =
  {
    failing: [{ broken: () => Promise.reject(new Error('already gone')), sound: () => log({ event: 'sound step' }) }],
    throwing: [
      {
        broken: () => {
          throw new Error('at once');
        },
        sound: () => log({ event: 'sound step' }),
      },
    ],
    ordered: [
      {
        jobs: async () => {
          await sleep(100);
          log({ event: 'jobs closed' });
        },
      },
      {
        slow: async () => {
          log({ event: 'slow began' });
          await sleep(100);
          log({ event: 'slow closed' });
        },
        fast: () => log({ event: 'fast closed' }),
      },
    ],
    hanging: [{ hanging: () => new Promise(() => setInterval(() => {}, 1000)) }],
    forgotten: [{ forgotten: () => new Promise(() => {}) }],
  }[STEPS] ?? [];

const shutdown = gracefulShutdown({
  servers: [server],
  webSockets: process.env.WEB_SOCKETS === 'registered' ? [webSockets] : [],
  phases: steps,
  ...(WAIT_MS && { waitMs: Number(WAIT_MS) }),
  ...(DEADLINE_MS && { deadlineMs: Number(DEADLINE_MS) }),
  ...(WEB_SOCKET_MS && { webSocketMs: Number(WEB_SOCKET_MS) }),
  ...(BODY_MS && { bodyMs: Number(BODY_MS) }),
});
/** Slow requests are open when the shutdown begins, however busy the machine is. */
const begun = new Promise((resolve) => shutdown.signal.addEventListener('abort', resolve));
shutdown.finished.then((outcome) => {
  log({ event: 'outcome', ...outcome });
  if (process.env.THROW_AT_END) throw new Error('thrown on purpose');
});

if (LISTEN === 'yes') {
  server.listen(0, '127.0.0.1', () => log({ event: 'listening', port: server.address().port, pid: process.pid }));
} else {
  if (LISTEN === 'closed') server.listen(0, () => server.close());
  setInterval(() => {}, 60_000);
  setTimeout(() => log({ event: 'listening' }), 200);
}
