import type { Server } from 'node:net';
import { gracefulShutdown, type Options, type Shutdown } from './index.js';

/** An instance of Fastify 5. */
export interface FastifyApp {
  readonly server: Server;
  get(path: string, options: { logLevel: 'warn' }, handler: (request: unknown, reply: FastifyReply) => void): unknown;
  decorate(name: 'shutdown', value: Shutdown): unknown;
  addHook(name: 'onClose', hook: () => Promise<void>): unknown;
  close(): PromiseLike<unknown>;
}

export interface FastifyReply {
  code(status: number): FastifyReply;
  send(body: unknown): unknown;
}

export interface FastifyOptions extends Options {
  /** Path of the health check. Default: `/health`. */
  healthPath?: string;
}

/**
 * The plugin: `await app.register(winddown, { phases })`. `app.shutdown` is the shutdown, `app.server` is tracked, and
 * `app.close()`, which runs the onClose hooks of other plugins, is the first phase of the clean-up.
 */
export const winddown = Object.assign(
  async (app: FastifyApp, options: FastifyOptions) => {
    const phases = [{ fastify: () => app.close() }, ...(options.phases ?? [])];
    const shutdown = gracefulShutdown({ ...options, servers: [app.server, ...(options.servers ?? [])], phases });
    app.decorate('shutdown', shutdown);
    app.get(options.healthPath ?? '/health', { logLevel: 'warn' }, (_request, reply) => {
      reply.code(shutdown.health()).send(shutdown.healthBody());
    });
    // An app that is closed without a shutdown, as in a test, leaves no handlers.
    app.addHook('onClose', async () => {
      if (!shutdown.begun) shutdown.detach();
    });
  },
  // As fastify-plugin does: decorator and route belong to the app itself.
  { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'winddown-node' },
);
