import { createService, onStop, soundShutdown } from './sound.ts';

// The handler logs and goes on. What the exception interrupted stays as it is: a request without an answer, a lock that
// is never released. Nothing restarts the process, because it looks healthy.

const service = createService();
const shutdown = soundShutdown(service);

process.on('uncaughtException', (error) => console.error(error));
onStop(() => shutdown.begin());

await service.start(() => shutdown.begun);
