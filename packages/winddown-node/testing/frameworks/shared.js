import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export const log = (line) => console.log(JSON.stringify(line));

export const settings = { waitMs: 1000, phases: [{ database: () => log({ event: 'database closed' }) }] };

const signal = once(process, 'SIGTERM');

/** The time of a request that is open at the signal, however busy the machine is. */
export async function slowly() {
  log({ event: 'slow request' });
  await signal;
  await sleep(300);
}
