import { setTimeout as sleep } from 'node:timers/promises';

export const log = (line) => console.log(JSON.stringify(line));

export const settings = { waitMs: 1000, phases: [{ database: () => log({ event: 'database closed' }) }] };

export async function slowly() {
  log({ event: 'slow request' });
  await sleep(500);
}
