import { gracefulShutdown, type Options, type Shutdown } from './index.js';

/** An app of Koa 2 or 3. */
export interface KoaApp {
  use(middleware: (context: KoaContext, next: () => Promise<unknown>) => Promise<void>): unknown;
}

export interface KoaContext {
  readonly path: string;
  status: number;
  body: unknown;
}

export interface KoaOptions extends Options {
  /** Path of the health check. Default: `/health`. */
  healthPath?: string;
}

/**
 * Adds the health check to a Koa app. Call it before other middleware, and add the server:
 * `shutdown.add(app.listen(3000))`.
 */
export function koaShutdown(app: KoaApp, options: KoaOptions = {}): Shutdown {
  const { healthPath = '/health' } = options;
  const shutdown = gracefulShutdown(options);
  app.use(async (context, next) => {
    if (context.path !== healthPath) {
      await next();
      return;
    }
    context.status = shutdown.health();
    context.body = shutdown.healthBody();
  });
  return shutdown;
}
