import { createService } from './sound.ts';

// No handler for SIGTERM. Under an init, the signal ends the process at once: open requests are reset, running jobs stop
// in the middle. As the first process of a container, Node.js does not even get the signal: it serves until SIGKILL.

await createService().start(() => false);
