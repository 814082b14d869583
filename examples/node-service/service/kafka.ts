import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka';
import { within } from './limit.ts';

const SEND_LIMIT_MS = 5_000;
const CLOSE_LIMIT_MS = 3_000;

/** Sends messages that count only when all in-sync replicas have them. */
export class Kafka {
  readonly #topic: string;
  readonly #producer: Producer<string, string, string, string>;
  readonly #sends = new Set<Promise<unknown>>();

  constructor(brokers: string[], topic: string) {
    this.#topic = topic;
    this.#producer = new Producer({
      clientId: 'node-service',
      bootstrapBrokers: brokers,
      serializers: stringSerializers,
      // The broker drops what a retry sends twice. A send without an answer is tried once more, then it fails.
      idempotent: true,
      acks: ProduceAcks.ALL,
      retries: 2,
      retryDelay: 200,
      connectTimeout: 2_000,
      requestTimeout: 3_000,
    });
  }

  /** Fails until the broker answers and the topic exists; it is created where the broker permits that. */
  async connect(): Promise<void> {
    await this.#producer.metadata({ topics: [this.#topic], autocreateTopics: true });
    // Otherwise the first order waits for it, which takes seconds on a broker that has just started.
    await this.#producer.initIdempotentProducer({});
  }

  async send(id: string): Promise<void> {
    const send = this.#producer.send({ messages: [{ topic: this.#topic, key: id, value: JSON.stringify({ id }) }] });
    this.#sends.add(send);
    await send.finally(() => this.#sends.delete(send));
  }

  /** The producer's close fails sends under way, so they are awaited first. */
  async close(): Promise<void> {
    const sent = Promise.allSettled(this.#sends);
    try {
      await within(SEND_LIMIT_MS, 'sending the last messages to Kafka', sent);
    } finally {
      await within(CLOSE_LIMIT_MS, 'closing the connections to Kafka', this.#producer.close());
    }
  }
}
