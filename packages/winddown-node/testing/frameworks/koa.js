import Koa from 'koa';
import { koaShutdown } from 'winddown-node/koa';
import { log, settings, slowly } from './shared.js';

const app = new Koa();
app.silent = true;
const shutdown = koaShutdown(app, settings);
app.use(async (context) => {
  await slowly();
  if (context.path === '/fails') throw new Error('a handler fails');
  context.body = { begun: shutdown.begun };
});
const server = shutdown.add(app.listen(0, '127.0.0.1', () => log({ event: 'listening', port: server.address().port })));
