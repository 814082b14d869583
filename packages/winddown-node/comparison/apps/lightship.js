import { createLightship } from 'lightship';
import { DEADLINE_MS, listen, server, steps, WAIT_MS } from './shared.js';

const lightship = await createLightship({
  signals: ['SIGTERM', 'SIGINT'],
  shutdownDelay: WAIT_MS,
  gracefulShutdownTimeout: DEADLINE_MS,
  shutdownHandlerTimeout: DEADLINE_MS,
});
lightship.registerShutdownHandler(() => new Promise((resolve) => server.close(resolve)));
lightship.registerShutdownHandler(steps.broken);
lightship.registerShutdownHandler(steps.sound);
lightship.signalReady();
listen({ health: lightship.server.address().port });
