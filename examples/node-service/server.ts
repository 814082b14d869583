import { gracefulShutdown } from 'winddown-node';
import { readConfiguration } from './service/configuration.ts';
import { Service } from './service/service.ts';

const configuration = readConfiguration(process.env);
const service = new Service(configuration);

const shutdown = gracefulShutdown({
  servers: [service.server],
  webSockets: [service.webSockets],
  waitMs: configuration.waitMs,
  phases: [
    { jobs: () => service.drainJobs() },
    { mongodb: service.closeMongodb, redis: service.closeRedis, kafka: service.closeKafka },
  ],
});
shutdown.signal.addEventListener('abort', () => service.stopJobs());

await service.start(() => shutdown.begun);
