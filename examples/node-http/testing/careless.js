// A server whose handlers and clean-up fail, for what server.js never does by itself.
import { createServer } from 'node:http';
import { shutDownInOrder } from '../shutdown.js';

const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x');

const log = (line) => console.log(JSON.stringify(line));

const server = createServer((request, response) => {
  switch (request.url) {
    case '/throw':
      setImmediate(() => {
        throw new Error('nobody catches this');
      });
      break;
    case '/reject':
      Promise.reject(new Error('nobody awaits this'));
      break;
    case '/large':
      response.end(LARGE);
      log({ phase: 'large answer handed over' });
      break;
    default:
      response.end();
  }
});

shutDownInOrder(server, {
  waitMs: Number(process.env.SHUTDOWN_WAIT_MS),
  deadlineMs: 10_000,
  log,
  cleanUp: {
    async broken() {
      throw new Error('already gone');
    },
    async sound() {
      log({ phase: 'sound step ran' });
    },
  },
});

server.listen(Number(process.env.PORT), () => log({ phase: 'listening', port: server.address().port }));
