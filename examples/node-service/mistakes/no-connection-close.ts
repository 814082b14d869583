import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp, closeConnections, createService, onStop, setDeadline, waitMs } from './sound.ts';

// Answers during the shutdown do not say Connection: close. Clients keep their connections and send the next request on
// them, in the moment in which the server closes them.

const service = createService();
let shuttingDown = false;

onStop(async () => {
  if (shuttingDown) return;
  shuttingDown = true;
  setDeadline();
  await sleep(waitMs);
  await closeConnections(service);
  await cleanUp(service);
  process.exit(0);
});

await service.start(() => shuttingDown);
