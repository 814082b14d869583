import { createHttpTerminator } from 'http-terminator';
import { cleanUp, DEADLINE_MS, listen, server } from './shared.js';

const httpTerminator = createHttpTerminator({ server, gracefulTerminationTimeout: DEADLINE_MS });
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => {
    await httpTerminator.terminate();
    await cleanUp();
    process.exit(0);
  });
}
listen();
