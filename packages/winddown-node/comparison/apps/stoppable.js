import stoppable from 'stoppable';
import { cleanUp, DEADLINE_MS, listen, server } from './shared.js';

stoppable(server, DEADLINE_MS);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.stop(async () => {
      await cleanUp();
      process.exit(0);
    });
  });
}
listen();
