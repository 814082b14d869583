import { randomUUID } from 'node:crypto';
import { after, before, test as bounded, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfiguration } from '../service/configuration.ts';
import { type Counts, counts, jobCounts } from './counts.ts';
import { missing, type Server, startKafka, startMongodb, startRedis } from './servers.ts';

/** What a test has: servers, and the environment with which the service uses them. */
export interface Stack {
  redis: Server;
  mongodb: Server;
  kafka: Server;
  env: Record<string, string>;
  counts(): Promise<Record<string, Counts>>;
  jobs(): ReturnType<typeof jobCounts>;
}

/**
 * The function `test` of a file whose tests need the servers. They share Kafka, which takes seconds to start; each has a
 * Redis, a MongoDB and a topic of its own.
 */
export function testsWithServers(): (name: string, body: (t: TestContext, stack: Stack) => Promise<void>) => void {
  const lacking = missing();
  let kafka: (Server & AsyncDisposable) | undefined;
  if (lacking.length === 0) {
    before(async () => {
      kafka = await startKafka();
    });
    after(() => kafka?.[Symbol.asyncDispose]());
  }

  return (name, body) => {
    const skip = lacking.length > 0 && `this machine lacks ${lacking.join(', ')}`;
    bounded(name, { timeout: 120_000, skip }, async (t) => {
      if (!kafka) throw new Error('Kafka did not start');
      await using redis = await startRedis();
      await using mongodb = await startMongodb();
      const env = {
        REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        MONGODB_URL: `mongodb://127.0.0.1:${mongodb.port}/orders`,
        KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
        KAFKA_TOPIC: `orders-${randomUUID()}`,
      };
      const configuration = readConfiguration(env);
      await body(t, {
        ...{ redis, mongodb, kafka, env },
        counts: () => counts(configuration),
        jobs: () => jobCounts(configuration),
      });
    });
  };
}

/** Waits until `holds`, at most 30 s. */
export async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(50)) if (await holds()) return;
  throw new Error(`not within 30 s: ${what}`);
}
