import mongoose from 'mongoose';
import { within } from './limit.ts';

/** How long an operation waits for a server that can be used. Without it, the driver waits 30 s. */
const SELECTION_MS = 3_000;
const CLOSE_LIMIT_MS = 3_000;

export interface OrderDocument {
  _id: string;
  /** Whether the order was acknowledged: its message is in Kafka and its job in the queue. */
  accepted: boolean;
  receivedAt: Date;
}

const schema = new mongoose.Schema<OrderDocument>(
  { _id: String, accepted: Boolean, receivedAt: Date },
  { collection: 'orders', versionKey: false },
);

export class Mongodb {
  readonly #url: string;
  readonly #connection = mongoose.createConnection();
  readonly #orders = this.#connection.model('Order', schema);

  constructor(url: string) {
    this.#url = url;
    // Failed operations reject by themselves; an error event without a listener would end the process.
    this.#connection.on('error', () => {});
  }

  async connect(): Promise<void> {
    await this.#connection.openUri(this.#url, {
      autoIndex: false,
      bufferCommands: false,
      serverSelectionTimeoutMS: SELECTION_MS,
      socketTimeoutMS: 10_000,
    });
  }

  /** The order as it is stored now: one that exists stays as it is. */
  async store(id: string): Promise<OrderDocument> {
    return await this.#orders
      .findOneAndUpdate(
        { _id: id },
        { $setOnInsert: { accepted: false, receivedAt: new Date() } },
        { upsert: true, returnDocument: 'after' },
      )
      .lean()
      .orFail();
  }

  async accept(id: string): Promise<void> {
    await this.#orders.updateOne({ _id: id }, { $set: { accepted: true } });
  }

  async close(): Promise<void> {
    await within(CLOSE_LIMIT_MS, 'closing the connections to MongoDB', this.#connection.close());
  }
}
