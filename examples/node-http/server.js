import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { gracefulShutdown } from 'winddown-node';

const port = number('PORT', 3000);
const workMs = number('WORK_MS', 50);
const waitMs = number('SHUTDOWN_WAIT_MS', 1000);
const mistake = process.env.MISTAKE ?? '';

const server = createServer(async (request, response) => {
  if (request.url.split('?')[0] === '/health') {
    shutdown.answerHealth(request, response);
    return;
  }
  await sleep(workMs);
  response.setHeader('Content-Type', 'application/json');
  response.end(`${JSON.stringify({ hostname: hostname(), shuttingDown: shutdown.begun })}\n`);
});

// Clients must close idle connections before the server does. Otherwise a request can arrive while the server closes.
server.keepAliveTimeout = 75_000;
server.headersTimeout = 80_000;

const shutdown = gracefulShutdown({ servers: [server], waitMs, ...settingsOf(mistake) });
await sleep(number('START_MS', 0)); // as a connection to a database
server.listen(port, () => {
  console.log(JSON.stringify({ event: 'listening', port: server.address().port, mistake: mistake || undefined }));
});

function settingsOf(mistake) {
  switch (mistake) {
    case '':
      return {};
    case 'exit-at-once':
      process.on('SIGTERM', () => process.exit());
      return { signals: [] };
    case 'no-handler':
      // The first process of a container ignores a signal without a handler, so SIGKILL ends it after the grace period.
      return { signals: [] };
    default:
      throw new Error(`MISTAKE=${mistake}: exit-at-once or no-handler`);
  }
}

function number(name, fallback) {
  const value = Number(process.env[name] || fallback);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name}=${process.env[name]}: a whole number`);
  return value;
}
