import { createServer } from 'node:http';
import { gracefulShutdown } from 'winddown-node';
import { expressShutdown } from 'winddown-node/express';
import { winddown } from 'winddown-node/fastify';
import { koaShutdown } from 'winddown-node/koa';

for (const adapter of [expressShutdown, koaShutdown, winddown])
  if (typeof adapter !== 'function') throw new Error('no function');
const server = createServer((_request, response) => response.end());
gracefulShutdown({ servers: [server], waitMs: 10 });
server.listen(0, () => process.kill(process.pid, 'SIGTERM'));
