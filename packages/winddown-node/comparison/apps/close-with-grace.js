import closeWithGrace from 'close-with-grace';
import { cleanUp, DEADLINE_MS, listen, server } from './shared.js';

closeWithGrace({ delay: DEADLINE_MS, logger: false }, async () => {
  await new Promise((resolve) => server.close(resolve));
  await cleanUp();
});
listen();
