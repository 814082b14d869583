import type { FastifyInstance } from 'fastify';
import { gracefulShutdown, type Options, type Shutdown } from './index.js';

declare module 'fastify' {
  interface FastifyInstance {
    shutdown: Shutdown;
  }
}

export interface FastifyOptions extends Options {
  /** Path of the health check. Default: `/health`. */
  healthPath?: string;
}

/**
 * The plugin: `await app.register(winddown, { phases })`. `app.shutdown` is the shutdown, `app.server` is tracked, and
 * `app.close()` is the last phase of the clean-up: the onClose hooks of other plugins close clients that jobs may use.
 */
export const winddown = Object.assign(
  async (app: FastifyInstance, options: FastifyOptions) => {
    const phases = [...(options.phases ?? []), { fastify: () => app.close() }];
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
