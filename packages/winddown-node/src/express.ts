import { gracefulShutdown, type HealthResponse, type Options, type Shutdown } from './index.js';

/** An app of Express 4 or 5. */
export interface ExpressApp {
  get(path: string, handler: (request: unknown, response: HealthResponse) => void): unknown;
}

export interface ExpressOptions extends Options {
  /** Path of the health check. Default: `/health`. */
  healthPath?: string;
}

/**
 * Adds the health check to an Express app. Call it before other routes and middleware, which could answer first, and
 * add the server: `shutdown.add(app.listen(3000))`.
 */
export function expressShutdown(app: ExpressApp, options: ExpressOptions = {}): Shutdown {
  const shutdown = gracefulShutdown(options);
  app.get(options.healthPath ?? '/health', shutdown.answerHealth);
  return shutdown;
}
