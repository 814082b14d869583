import { createService, onStop } from './sound.ts';

// The handler only exits. Open requests are reset, running jobs stop in the middle and run again later, and the exit
// code 0 says that everything was fine.

onStop(() => process.exit(0));

await createService().start(() => false);
