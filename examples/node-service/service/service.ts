import type { AddressInfo } from 'node:net';
import type { Redis } from 'ioredis';
import type { WebSocketServer } from 'ws';
import type { Configuration } from './configuration.ts';
import { Jobs } from './jobs.ts';
import { Kafka } from './kafka.ts';
import { log } from './log.ts';
import { Mongodb } from './mongodb.ts';
import { placeOrder } from './orders.ts';
import { closeRedis, commandClient } from './redis.ts';
import { routes } from './routes.ts';
import { connected } from './start.ts';
import { webSocketEndpoint } from './websocket.ts';

/** The service without its shutdown: server.ts and mistakes/ add theirs. */
export class Service {
  readonly #configuration: Configuration;
  readonly #app = routes({ ready: () => this.#ready(), order: (id) => this.#order(id) });
  readonly #redis: Redis;
  readonly #mongodb: Mongodb;
  readonly #kafka: Kafka;
  readonly #completed: (id: string) => void;
  readonly #starting = new AbortController();
  #jobs: Jobs | undefined;
  #ready = () => false;

  readonly server = this.#app.server;
  readonly webSockets: WebSocketServer;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    this.#redis = commandClient(configuration.redisUrl);
    this.#mongodb = new Mongodb(configuration.mongodbUrl);
    this.#kafka = new Kafka(configuration.kafkaBrokers, configuration.kafkaTopic);
    const { webSockets, completed } = webSocketEndpoint(this.server);
    this.webSockets = webSockets;
    this.#completed = completed;
  }

  /**
   * Listens at once, and is ready when MongoDB, Redis and Kafka were all connected; /health answers 503 before that, and
   * whenever `shuttingDown()`.
   */
  async start(shuttingDown: () => boolean): Promise<void> {
    const { port, redisUrl, jobMs } = this.#configuration;
    await this.#app.ready();
    this.server.listen(port, () => log({ event: 'listening', port: (this.server.address() as AddressInfo).port }));

    const { signal } = this.#starting;
    try {
      await Promise.all([
        connected('mongodb', () => this.#mongodb.connect(), signal),
        connected('redis', () => this.#connectRedis(), signal),
        connected('kafka', () => this.#kafka.connect(), signal),
      ]);
      // It may have aborted while the last one connected.
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#jobs = new Jobs({ commands: this.#redis, redisUrl, jobMs, completed: this.#completed });
    this.#ready = () => !shuttingDown();
    log({ event: 'ready' });
  }

  /**
   * Takes no further job: other replicas have more time for it. Jobs that run go on. A service that is still starting
   * stops that.
   */
  stopJobs(): void {
    this.#starting.abort();
    this.#jobs?.stop();
  }

  /** Waits for running jobs. */
  async drainJobs(): Promise<void> {
    this.stopJobs();
    await this.#jobs?.drain();
    log({ event: 'drained', client: 'jobs' });
  }

  closeMongodb = (): Promise<void> => closed('mongodb', this.#mongodb.close());
  closeRedis = (): Promise<void> => closed('redis', closeRedis(this.#redis));
  closeKafka = (): Promise<void> => closed('kafka', this.#kafka.close());

  async #order(id: string): Promise<void> {
    if (!this.#jobs) throw new Error('the service is still starting');
    await placeOrder(id, this.#configuration.workMs, { mongodb: this.#mongodb, kafka: this.#kafka, jobs: this.#jobs });
  }

  async #connectRedis(): Promise<void> {
    if (this.#redis.status === 'wait') await this.#redis.connect();
    await this.#redis.ping();
  }
}

async function closed(client: string, closing: Promise<void>): Promise<void> {
  await closing;
  log({ event: 'closed', client });
}
