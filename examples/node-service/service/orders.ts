import { setTimeout as sleep } from 'node:timers/promises';
import { within } from './limit.ts';

const ORDER_LIMIT_MS = 10_000;

/** What an order needs of the servers. */
export interface Stores {
  mongodb: { store(id: string): Promise<{ accepted: boolean }>; accept(id: string): Promise<void> };
  kafka: { send(id: string): Promise<void> };
  jobs: { add(id: string): Promise<void> };
}

/**
 * Resolves when document, message and job are acknowledged. A repeated order whose first attempt was acknowledged changes
 * nothing. After a failed attempt, or beside one that is not acknowledged yet, a repetition stores nothing twice in
 * MongoDB and in the queue, but its message may be the second one.
 */
export async function placeOrder(id: string, workMs: number, { mongodb, kafka, jobs }: Stores): Promise<void> {
  await sleep(workMs);
  await within(ORDER_LIMIT_MS, 'the order', store());

  async function store() {
    const { accepted } = await mongodb.store(id);
    if (accepted) return;
    await Promise.all([kafka.send(id), jobs.add(id)]);
    await mongodb.accept(id);
  }
}
