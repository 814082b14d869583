import { setTimeout as sleep } from 'node:timers/promises';
import { closeConnections, createService, onStop, sayConnectionClose, setDeadline, waitMs } from './sound.ts';

// Promise.all rejects with the first failure. With Redis already down, the process exits before the other clients have
// closed, and with an exit code that says that the shutdown failed.

const service = createService();
let shuttingDown = false;

onStop(async () => {
  if (shuttingDown) return;
  shuttingDown = true;
  setDeadline();
  sayConnectionClose(service);
  await sleep(waitMs);
  await closeConnections(service);
  await Promise.allSettled([service.drainJobs()]);
  try {
    await Promise.all([service.closeRedis(), service.closeMongodb(), service.closeKafka()]);
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});

await service.start(() => shuttingDown);
