import { setTimeout as sleep } from 'node:timers/promises';
import { log } from './log.ts';

const RETRY_MS = 500;
const START_LIMIT_MS = 300_000;

/**
 * Connects, again and again: the servers may start later than the service. Rejects after 5 minutes, or when `signal`
 * aborts.
 */
export async function connected(client: string, connect: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      await connect();
      log({ event: 'connected', client, attempt });
      return;
    } catch (error) {
      if (performance.now() > end) throw new Error(`${client}: no connection in ${attempt} attempts`, { cause: error });
      if (attempt === 1) log({ event: 'no connection yet', client, error: String(error) });
    }
    await sleep(RETRY_MS, undefined, { signal });
  }
}
