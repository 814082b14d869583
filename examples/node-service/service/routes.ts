import { hostname } from 'node:os';
import Fastify, { type FastifyInstance } from 'fastify';
import { log } from './log.ts';

/** Answers of GET /health and POST /orders; `order` rejects when the order was not stored. */
export function routes({
  ready,
  order,
}: {
  ready: () => boolean;
  order: (id: string) => Promise<void>;
}): FastifyInstance {
  const app = Fastify({
    bodyLimit: 1024,
    // Clients must close idle connections before the server does. Otherwise a request can arrive while the server closes.
    keepAliveTimeout: 75_000,
  });

  app.get('/health', async (_request, reply) => {
    reply.code(ready() ? 200 : 503);
    return { hostname: hostname(), ready: ready() };
  });

  app.post<{ Body: { id: string } }>('/orders', { schema: { body: orderSchema } }, async ({ body: { id } }, reply) => {
    try {
      await order(id);
      reply.code(201);
      return { id, hostname: hostname() };
    } catch (error) {
      log({ event: 'order failed', id, error: String(error) });
      reply.code(503);
      return { id, error: 'the order was not stored; send it again with the same id' };
    }
  });
  return app;
}

const orderSchema = {
  type: 'object',
  required: ['id'],
  additionalProperties: false,
  properties: { id: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' } },
};
