import { setTimeout as sleep } from 'node:timers/promises';
import { readConfiguration } from '../service/configuration.ts';
import { Service } from '../service/service.ts';

// The parts that the mistakes get right: each mistake is then the only one in its file. `node mistakes/sound.ts` is the
// service without a mistake.

const configuration = readConfiguration(process.env);

export const { waitMs } = configuration;

export function createService(): Service {
  return new Service(configuration);
}

export function onStop(stop: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, stop);
}

/** Ends the process with 1 after the budget of the pod, or 25 s. */
export function setDeadline(): void {
  const seconds = Number(process.env['WINDDOWN_DEADLINE_SECONDS'] || 25);
  setTimeout(() => process.exit(1), seconds * 1000).unref();
}

export function sayConnectionClose({ server }: Service): void {
  server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
}

/** Takes no further connection and no further job, and waits until the last connection has closed. */
export async function closeConnections(service: Service): Promise<void> {
  const { server, webSockets } = service;
  service.stopJobs();
  for (const client of webSockets.clients) client.close(1001);
  webSockets.close();
  await new Promise((resolve) => server.close(resolve));
}

export async function cleanUp(service: Service): Promise<void> {
  await Promise.allSettled([service.drainJobs()]);
  await Promise.allSettled([service.closeMongodb(), service.closeRedis(), service.closeKafka()]);
}

/** The whole shutdown. A second call does nothing. */
export function soundShutdown(service: Service): { readonly begun: boolean; begin: () => Promise<void> } {
  let begun = false;
  return {
    get begun() {
      return begun;
    },
    async begin() {
      if (begun) return;
      begun = true;
      setDeadline();
      sayConnectionClose(service);
      await sleep(waitMs);
      await closeConnections(service);
      await cleanUp(service);
      process.exit(0);
    },
  };
}

if (import.meta.main) {
  const service = createService();
  const shutdown = soundShutdown(service);
  onStop(() => shutdown.begin());
  await service.start(() => shutdown.begun);
}
