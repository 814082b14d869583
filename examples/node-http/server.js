import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { shutDownInOrder } from './shutdown.js';

const port = number('PORT', 3000);
const workMs = number('WORK_MS', 50);
const waitMs = number('SHUTDOWN_WAIT_MS', 1000);
const deadlineMs = number('SHUTDOWN_DEADLINE_MS', 25_000);
const mistake = process.env.MISTAKE ?? '';

const server = createServer(async (request, response) => {
  // A body that is still unread when its socket closes makes the kernel send a reset after the answer.
  const received = new Promise((resolve) => request.once('close', resolve));
  request.resume();

  if (request.url.split('?')[0] === '/health') {
    answer(response, shutdown.begun ? 503 : 200);
    return;
  }
  await Promise.all([sleep(workMs), received]);
  answer(response, 200);
});

// Clients must close idle connections before the server does. Otherwise a request can arrive while the server closes.
server.keepAliveTimeout = 75_000;
server.headersTimeout = 80_000;

const shutdown = handleSignals();
server.listen(port, () => log({ phase: 'listening', port: server.address().port, mistake: mistake || undefined }));

function handleSignals() {
  switch (mistake) {
    case '':
      return shutDownInOrder(server, { waitMs, deadlineMs, log });
    case 'exit-at-once':
      process.on('SIGTERM', () => process.exit());
      return { begun: false };
    case 'no-handler':
      // The first process of a container ignores a signal without a handler, so SIGKILL ends it after the grace period.
      return { begun: false };
    default:
      throw new Error(`MISTAKE=${mistake}: exit-at-once or no-handler`);
  }
}

function answer(response, status) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(`${JSON.stringify({ hostname: hostname(), shuttingDown: shutdown.begun })}\n`);
}

function log(line) {
  console.log(JSON.stringify(line));
}

function number(name, fallback) {
  const value = Number(process.env[name] || fallback);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name}=${process.env[name]}: a whole number`);
  return value;
}
