import { createService, onStop, soundShutdown } from './sound.ts';

// The health check does not know of the shutdown. Load balancers that rely on it send requests until the listener is
// closed, however long the wait is.

const service = createService();
const shutdown = soundShutdown(service);

onStop(() => shutdown.begin());

await service.start(() => false);
