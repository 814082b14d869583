import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp, closeConnections, createService, onStop, sayConnectionClose, waitMs } from './sound.ts';

// The shutdown waits for everything, without a limit. One client that never finishes its request, or one job that never
// ends, holds the process until SIGKILL, and the clean-up never runs.

const service = createService();
let shuttingDown = false;

onStop(async () => {
  if (shuttingDown) return;
  shuttingDown = true;
  sayConnectionClose(service);
  await sleep(waitMs);
  await closeConnections(service);
  await cleanUp(service);
  process.exit(0);
});

await service.start(() => shuttingDown);
