import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration } from '../service/configuration.ts';

test('without variables, the service uses the names of the Services in its namespace', () => {
  assert.deepEqual(readConfiguration({}), {
    port: 3000,
    workMs: 50,
    jobMs: 200,
    waitMs: 1000,
    redisUrl: 'redis://redis:6379',
    mongodbUrl: 'mongodb://mongodb:27017/orders',
    kafkaBrokers: ['kafka:9092'],
    kafkaTopic: 'orders',
  });
});

test('several brokers are separated by commas', () => {
  assert.deepEqual(readConfiguration({ KAFKA_BROKERS: 'a:9092,b:9093' }).kafkaBrokers, ['a:9092', 'b:9093']);
});

test('an empty variable counts as absent', () => {
  assert.equal(readConfiguration({ PORT: '' }).port, 3000);
});

for (const [name, value, accepted] of [
  ['PORT', '65536', /PORT is "65536": it must be a whole number from 0 to 65535/],
  ['PORT', '3000x', /PORT/],
  ['WORK_MS', '-1', /WORK_MS/],
  ['JOB_MS', '1e3', /JOB_MS/],
  ['SHUTDOWN_WAIT_MS', '600001', /from 0 to 600000/],
  ['REDIS_URL', 'localhost:6379', /REDIS_URL must begin with redis:\/\/ or rediss:\/\//],
  ['MONGODB_URL', 'mongodb://', /MONGODB_URL/],
  ['KAFKA_BROKERS', 'kafka', /host:port/],
  ['KAFKA_BROKERS', 'kafka:9092,', /host:port/],
  ['KAFKA_TOPIC', 'a b', /KAFKA_TOPIC is "a b"/],
] as const) {
  test(`${name}=${value} is rejected with what is accepted`, () => {
    assert.throws(() => readConfiguration({ [name]: value }), { name: 'RangeError', message: accepted });
  });
}

test('a rejected URL is not repeated, because it may contain a password', () => {
  assert.throws(
    () => readConfiguration({ REDIS_URL: 'http://user:secret@redis' }),
    (error: Error) => {
      assert.doesNotMatch(error.message, /secret/);
      return true;
    },
  );
});
