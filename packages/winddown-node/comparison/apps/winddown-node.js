import { gracefulShutdown } from 'winddown-node';
import { DEADLINE_MS, listen, log, server, steps, WAIT_MS, webSockets } from './shared.js';

const shutdown = gracefulShutdown({
  servers: [server],
  webSockets: [webSockets],
  phases: [steps],
  waitMs: WAIT_MS,
  deadlineMs: DEADLINE_MS,
  log,
});
server.prependListener('request', (request, response) => {
  if (request.url === '/health') shutdown.answerHealth(request, response);
});
listen({ health: 'own port' });
