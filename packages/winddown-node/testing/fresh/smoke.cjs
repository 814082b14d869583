const { createServer } = require('node:http');
const { gracefulShutdown } = require('winddown-node');
const { expressShutdown } = require('winddown-node/express');
const { winddown } = require('winddown-node/fastify');
const { koaShutdown } = require('winddown-node/koa');

for (const adapter of [expressShutdown, koaShutdown, winddown])
  if (typeof adapter !== 'function') throw new Error('no function');
const server = createServer((_request, response) => response.end());
gracefulShutdown({ servers: [server], waitMs: 10 });
server.listen(0, () => process.kill(process.pid, 'SIGTERM'));
