import { createService, onStop, soundShutdown } from './sound.ts';

// "Press Ctrl+C twice to force": a second signal aborts the shutdown. A signal that is sent to the whole process group,
// or an init that forwards it again, then drops what is open.

const service = createService();
const shutdown = soundShutdown(service);

onStop(() => {
  if (shutdown.begun) process.exit(1);
  shutdown.begin();
});

await service.start(() => shutdown.begun);
