import Fastify from 'fastify';
import { winddown } from 'winddown-node/fastify';
import { log, settings, slowly } from './shared.js';

const app = Fastify();
await app.register(winddown, settings);
app.addHook('onClose', async () => log({ event: 'onClose hook' }));
app.get('/slow', async () => {
  await slowly();
  return { begun: app.shutdown.begun };
});
app.get('/fails', async () => {
  await slowly();
  throw new Error('a handler fails');
});
await app.listen({ port: 0, host: '127.0.0.1' });
log({ event: 'listening', port: app.server.address().port });
