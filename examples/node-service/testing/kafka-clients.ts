import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { startKafka } from './servers.ts';

// Measures the two clients for the table in the README: node testing/kafka-clients.ts

interface Client {
  send(id: string): Promise<unknown>;
  close(): Promise<void>;
}

const LIMIT_MS = 20_000;

await using kafka = await startKafka();
const brokers = [`127.0.0.1:${kafka.port}`];

async function platformatic(topic: string): Promise<Client> {
  const producer = new Producer({
    clientId: 'comparison',
    bootstrapBrokers: brokers,
    serializers: stringSerializers,
    idempotent: true,
    acks: ProduceAcks.ALL,
    retries: 2,
    connectTimeout: 2_000,
    requestTimeout: 3_000,
  });
  await producer.metadata({ topics: [topic], autocreateTopics: true });
  return { send: (id) => producer.send({ messages: [{ topic, key: id, value: id }] }), close: () => producer.close() };
}

async function kafkaJs(topic: string): Promise<Client> {
  const client = new kafkajs.Kafka({
    clientId: 'comparison',
    brokers,
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 2_000,
    requestTimeout: 3_000,
    retry: { retries: 2 },
  });
  const producer = client.producer({ idempotent: true, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  return {
    send: (id) => producer.send({ topic, acks: -1, messages: [{ key: id, value: id }] }),
    close: () => producer.disconnect(),
  };
}

for (const connect of [platformatic, kafkaJs]) {
  const report = (what: string, result: object) => console.log(JSON.stringify({ client: connect.name, what, ...result }));

  const busy = await connected(connect, 'busy');
  report('500 sends at the same time', await outcome(Array.from({ length: 500 }, (_, number) => busy.send(`${number}`))));
  await busy.close();

  const closing = await connected(connect, 'closing');
  const underWay = outcome(Array.from({ length: 200 }, (_, number) => closing.send(`${number}`)));
  report('close with 200 sends under way', await outcome([closing.close()]));
  report('these sends', await underWay);

  const silent = await connected(connect, 'silent');
  kafka.kill('SIGSTOP');
  const unanswered = outcome(Array.from({ length: 20 }, (_, number) => silent.send(`${number}`)));
  report('close while the broker does not answer', await outcome([silent.close()]));
  report('20 sends that were open', await unanswered);
  kafka.kill('SIGCONT');
}

async function connected(connect: (topic: string) => Promise<Client>, topic: string): Promise<Client> {
  const client = await connect(`${connect.name}-${topic}`);
  await client.send('first');
  return client;
}

/** How the promises ended within the limit, and when the last one did. */
async function outcome(promises: Promise<unknown>[]) {
  const result = { done: 0, failed: 0, open: promises.length, ms: 0 };
  const begin = performance.now();
  const all = promises.map(async (promise) => {
    await promise.then(
      () => (result.done += 1),
      () => (result.failed += 1),
    );
    result.open -= 1;
    result.ms = Math.round(performance.now() - begin);
  });
  await Promise.race([Promise.all(all), new Promise((resolve) => setTimeout(resolve, LIMIT_MS).unref())]);
  return { ...result };
}
