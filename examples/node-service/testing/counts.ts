import { randomUUID } from 'node:crypto';
import { Consumer, MessagesStreamModes, stringDeserializers } from '@platformatic/kafka';
import mongoose from 'mongoose';
import { type Configuration, readConfiguration } from '../service/configuration.ts';
import { COMPLETED, STARTED } from '../service/jobs.ts';
import { closeRedis, workerClient } from '../service/redis.ts';

/** How often each server has something of one order; all are 1 for an order that was stored once and processed once. */
export interface Counts {
  documents: number;
  messages: number;
  started: number;
  completed: number;
}

/** Reads everything that is stored. `node testing/counts.ts` prints it as JSON, by order id. */
export async function counts(configuration: Configuration): Promise<Record<string, Counts>> {
  const orders: Record<string, Counts> = {};
  const add = (counted: keyof Counts, id: string, number = 1) => {
    orders[id] ??= { documents: 0, messages: 0, started: 0, completed: 0 };
    orders[id][counted] += number;
  };
  await Promise.all([
    readDocuments(configuration, (id) => add('documents', id)),
    readMessages(configuration, (id) => add('messages', id)),
  ]);
  const jobs = await jobCounts(configuration);
  for (const counted of ['started', 'completed'] as const) {
    for (const [id, number] of Object.entries(jobs[counted])) add(counted, id, Number(number));
  }
  return orders;
}

async function readDocuments({ mongodbUrl }: Configuration, found: (id: string) => void): Promise<void> {
  const connection = await mongoose.createConnection(mongodbUrl).asPromise();
  const documents = connection.collection<{ _id: string }>('orders').find({}, { projection: { _id: 1 } });
  for await (const { _id } of documents) found(_id);
  await connection.close();
}

/** How often the job of each order began and ended; much faster than `counts`. */
export async function jobCounts({
  redisUrl,
}: Configuration): Promise<Record<'started' | 'completed', Record<string, string>>> {
  const redis = workerClient(redisUrl);
  const started = await redis.hgetall(STARTED);
  const completed = await redis.hgetall(COMPLETED);
  await closeRedis(redis);
  return { started, completed };
}

async function readMessages({ kafkaBrokers, kafkaTopic }: Configuration, found: (id: string) => void): Promise<void> {
  const consumer = new Consumer({
    clientId: 'counts',
    groupId: `counts-${randomUUID()}`,
    bootstrapBrokers: kafkaBrokers,
    deserializers: stringDeserializers,
    // A broker that has just started is not at once ready for groups.
    retries: 30,
    retryDelay: 500,
  });
  const newest = (await consumer.listOffsets({ topics: [kafkaTopic] })).get(kafkaTopic) ?? [];
  const waiting = new Set(newest.flatMap((offset, partition) => (offset > 0n ? [partition] : [])));
  if (waiting.size > 0) {
    const mode = MessagesStreamModes.EARLIEST;
    const messages = await consumer.consume({ topics: [kafkaTopic], mode, autocommit: false });
    for await (const { key, partition, offset } of messages) {
      found(key);
      if (offset + 1n >= (newest[partition] ?? 0n)) waiting.delete(partition);
      if (waiting.size === 0) break;
    }
  }
  await consumer.close(true);
}

if (import.meta.main) console.log(JSON.stringify(await counts(readConfiguration(process.env))));
