import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { within } from './limit.ts';
import { log } from './log.ts';
import { closeRedis, workerClient } from './redis.ts';

const QUEUE = 'orders';
/** Jobs that run at the same time in one replica. */
const CONCURRENCY = 50;
const CLOSE_LIMIT_MS = 5_000;
/** A job whose lock expires counts as stalled and runs again elsewhere. The worker renews it at half of this time. */
const LEAST_LOCK_MS = 30_000;

/** Hashes in Redis: how often the job of each order began, and how often it ended. */
export const STARTED = 'orders:started';
export const COMPLETED = 'orders:completed';

/** The queue of orders, and a worker that processes it in this process. */
export class Jobs {
  readonly #queue: Queue<{ id: string }>;
  readonly #worker: Worker<{ id: string }>;
  readonly #connection: Redis;
  /** The work of the jobs that run, and how many began. */
  readonly #working = new Set<Promise<void>>();
  #begun = 0;

  /** `commands` must be connected; the worker opens connections of its own. */
  constructor({
    commands,
    redisUrl,
    jobMs,
    completed,
  }: {
    commands: Redis;
    redisUrl: string;
    jobMs: number;
    completed: (id: string) => void;
  }) {
    this.#queue = new Queue(QUEUE, { connection: commands });
    this.#connection = workerClient(redisUrl);

    this.#worker = new Worker(
      QUEUE,
      async ({ data: { id } }) => {
        await this.#connection.hincrby(STARTED, id, 1);
        await this.#work(jobMs);
        await this.#connection.hincrby(COMPLETED, id, 1);
        completed(id);
      },
      {
        connection: this.#connection,
        concurrency: CONCURRENCY,
        lockDuration: Math.max(LEAST_LOCK_MS, 2 * jobMs),
      },
    );
    // The Redis clients report outages; without a listener, an error event would end the process.
    this.#queue.on('error', () => {});
    this.#worker.on('error', () => {});
    this.#worker.on('failed', (job, error) => log({ event: 'job failed', id: job?.data.id, error: error.message }));
    this.#worker.on('stalled', (job) => log({ event: 'job stalled, it runs again', job }));
  }

  /** The job's id is the order's: a job that is added again while the first is known to the queue changes nothing. */
  async add(id: string): Promise<void> {
    await this.#queue.add(
      'order',
      { id },
      {
        jobId: `order-${id}`,
        attempts: 3,
        backoff: { type: 'exponential', delay: 500 },
        removeOnComplete: { count: 10_000 },
        removeOnFail: { count: 10_000 },
      },
    );
  }

  /** Takes no further job. Those that run go on. */
  stop(): void {
    void this.#worker.close();
  }

  /**
   * Takes no further job and waits for the work of those that run, however long it takes: only the deadline of the
   * shutdown ends that. What else they do needs only Redis, and has a limit, because Redis may be away.
   */
  async drain(): Promise<void> {
    try {
      await this.#closeWorker();
    } finally {
      await closeRedis(this.#connection);
    }
  }

  async #closeWorker(): Promise<void> {
    const closed = this.#worker.close();
    for (;;) {
      const begun = this.#begun;
      await Promise.allSettled(this.#working);
      try {
        return await within(CLOSE_LIMIT_MS, 'closing the worker', closed);
      } catch (error) {
        // A job that was being fetched begins after close().
        if (this.#begun === begun) throw error;
      }
    }
  }

  /** The part of a job that does not need Redis. */
  async #work(ms: number): Promise<void> {
    this.#begun += 1;
    const work = sleep(ms);
    this.#working.add(work);
    await work.finally(() => this.#working.delete(work));
  }
}
