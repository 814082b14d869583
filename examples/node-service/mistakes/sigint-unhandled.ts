import { createService, soundShutdown } from './sound.ts';

// Only SIGTERM is handled. Ctrl+C, and containers whose image has STOPSIGNAL SIGINT, stop the process as if there were
// no handler at all.

const service = createService();
const shutdown = soundShutdown(service);

process.on('SIGTERM', () => shutdown.begin());

await service.start(() => shutdown.begun);
