import { createServer } from 'node:http';
import http2 from 'node:http2';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import { gracefulShutdown, type LogLine, type Outcome } from 'winddown-node';
import { expressShutdown } from 'winddown-node/express';
import { winddown } from 'winddown-node/fastify';
import { koaShutdown } from 'winddown-node/koa';
import { WebSocketServer } from 'ws';

const server = createServer();
const shutdown = gracefulShutdown({
  servers: [server, http2.createServer(), http2.createSecureServer()],
  webSockets: [new WebSocketServer({ server })],
  phases: [{ jobs: async () => {} }, { mongodb: () => 1, redis: () => Promise.resolve('OK') }],
  waitMs: 1000,
  log: (line: LogLine) => console.log(line.event, line.ms),
});
const status: 200 | 503 = shutdown.health();
const outcome: Promise<Outcome> = shutdown.finished;
shutdown.signal.addEventListener('abort', () => outcome.then(({ exitCode }) => exitCode + status));
// @ts-expect-error a step is a function
gracefulShutdown({ phases: [{ jobs: 1 }] });
// @ts-expect-error milliseconds are a number
gracefulShutdown({ deadlineMs: '25s' });

const expressApp = express();
const ofExpress = expressShutdown(expressApp, { healthPath: '/ready' });
expressApp.get('/health', ofExpress.answerHealth);
ofExpress.add(expressApp.listen(3000));

const koaApp = new Koa();
koaShutdown(koaApp).add(koaApp.listen(3000));

const fastifyApp = Fastify();
await fastifyApp.register(winddown, { phases: [{ jobs: () => {} }], healthPath: '/ready' });
fastifyApp.shutdown.begin('by hand', 1);
