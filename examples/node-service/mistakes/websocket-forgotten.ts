import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp, createService, onStop, sayConnectionClose, setDeadline, waitMs } from './sound.ts';

// server.close() does not close WebSockets, and waits for them. No close frame is sent, so the deadline ends the
// process: clients see 1006 instead of 1001, and the clean-up never runs.

const service = createService();
let shuttingDown = false;

onStop(async () => {
  if (shuttingDown) return;
  shuttingDown = true;
  setDeadline();
  sayConnectionClose(service);
  await sleep(waitMs);
  service.stopJobs();
  await new Promise((resolve) => service.server.close(resolve));
  await cleanUp(service);
  process.exit(0);
});

await service.start(() => shuttingDown);
