import express from 'express';
import { expressShutdown } from 'winddown-node/express';
import { log, settings, slowly } from './shared.js';

const app = express();
// Otherwise it prints the error of /fails.
app.set('env', 'test');
const shutdown = expressShutdown(app, settings);
app.get('/slow', async (_request, response) => {
  await slowly();
  response.json({ begun: shutdown.begun });
});
app.get('/fails', async () => {
  await slowly();
  throw new Error('a handler fails');
});
const server = shutdown.add(app.listen(0, '127.0.0.1', () => log({ event: 'listening', port: server.address().port })));
