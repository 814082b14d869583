import { createServer } from 'node:http';
import { gracefulShutdown } from 'winddown-node';
import { log, settings, slowly } from './shared.js';

const server = createServer(async (request, response) => {
  if (request.url === '/health') {
    shutdown.answerHealth(request, response);
    return;
  }
  await slowly();
  response.statusCode = request.url === '/fails' ? 500 : 200;
  response.end(JSON.stringify({ begun: shutdown.begun }));
});
const shutdown = gracefulShutdown({ servers: [server], ...settings });
server.listen(0, '127.0.0.1', () => log({ event: 'listening', port: server.address().port }));
