import { Redis, type RedisOptions } from 'ioredis';
import { within } from './limit.ts';
import { outages } from './log.ts';

const CLOSE_LIMIT_MS = 3_000;

/**
 * A client whose commands fail at once while Redis is away, and after 5 s if it does not answer: a request then gets its
 * 503 instead of waiting.
 */
export function commandClient(url: string): Redis {
  return client(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 5_000 });
}

/** A client for BullMQ's worker, whose commands wait until Redis is back. */
export function workerClient(url: string): Redis {
  return client(url, { maxRetriesPerRequest: null });
}

/** Waits for answers under way. A client without a connection only stops: QUIT would wait behind queued commands. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status !== 'ready') {
    redis.disconnect();
    if (redis.status !== 'wait') throw new Error('Redis is not connected: there was nothing to close');
    return;
  }
  try {
    await within(CLOSE_LIMIT_MS, 'closing the connection to Redis', redis.quit());
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

function client(url: string, options: RedisOptions): Redis {
  const all: RedisOptions = {
    ...options,
    lazyConnect: true,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
  };
  const redis = new Redis(url, all);
  const outage = outages('redis');
  redis.on('error', outage.failed);
  redis.on('ready', outage.over);
  return redis;
}
