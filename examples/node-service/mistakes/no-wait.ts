import { cleanUp, closeConnections, createService, onStop, sayConnectionClose, setDeadline } from './sound.ts';

// The listener closes in the moment of the signal. Load balancers that have not noticed yet send new requests to a
// closed port.

const service = createService();
let shuttingDown = false;

onStop(async () => {
  if (shuttingDown) return;
  shuttingDown = true;
  setDeadline();
  sayConnectionClose(service);
  await closeConnections(service);
  await cleanUp(service);
  process.exit(0);
});

await service.start(() => shuttingDown);
