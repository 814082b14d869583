import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka } from '../service/kafka.ts';
import { order, send } from '../testing/client.ts';
import { start } from '../testing/process.ts';
import { startRedis } from '../testing/servers.ts';
import { eventually, testsWithServers } from '../testing/stack.ts';

const test = testsWithServers();
const clients = ['mongodb', 'redis', 'kafka'] as const;

for (const client of ['mongodb', 'redis'] as const) {
  test(`${client} is gone at SIGTERM: the other clients close, and the exit code is 0`, async (t, stack) => {
    const service = await start(t, stack.env);
    assert.equal((await order(service, 'before')).status, 201);
    await sleep(300);
    stack[client].kill('SIGKILL');
    await sleep(500);
    service.kill('SIGTERM');

    assert.deepEqual(await service.exit(), { code: 0, signal: null });
    for (const other of clients.filter((each) => each !== client)) await service.line({ event: 'closed', client: other });
  });
}

for (const client of clients) {
  test(`${client} does not answer at SIGTERM: the other clients close, and the exit code is 0`, async (t, stack) => {
    const service = await start(t, stack.env);
    assert.equal((await order(service, 'before')).status, 201);
    await sleep(300);
    stack[client].kill('SIGSTOP');
    try {
      service.kill('SIGTERM');
      assert.deepEqual(await service.exit(), { code: 0, signal: null });
    } finally {
      stack[client].kill('SIGCONT');
    }
    for (const other of clients.filter((each) => each !== client)) await service.line({ event: 'closed', client: other });
    const { ms } = await service.line({ event: 'finished' });
    // The limits of the worker, its connection, and the clients.
    assert.ok(Number(ms) < 15_000, `the shutdown took ${ms} ms`);
  });

  test(`an order is answered with 503 while ${client} does not answer, and later with 201`, async (t, stack) => {
    const service = await start(t, stack.env);
    assert.equal((await order(service, 'before')).status, 201);
    stack[client].kill('SIGSTOP');
    try {
      assert.equal((await order(service, 'a')).status, 503);
    } finally {
      stack[client].kill('SIGCONT');
    }
    await eventually('the order is accepted', async () => (await order(service, 'a')).status === 201);
    await eventually('the job completes', async () => 'a' in (await stack.jobs()).completed);

    const { documents, started, completed } = (await stack.counts())['a'] ?? {};
    assert.deepEqual({ documents, started, completed }, { documents: 1, started: 1, completed: 1 });
  });
}

for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
  test(`Redis gets ${signal} while a job runs: the other clients close, and the exit code is 0`, async (t, stack) => {
    const service = await start(t, { ...stack.env, JOB_MS: '2000' });
    assert.equal((await order(service, 'a')).status, 201);
    await eventually('the job starts', async () => 'a' in (await stack.jobs()).started);
    stack.redis.kill(signal);
    service.kill('SIGTERM');

    assert.deepEqual(await service.exit(), { code: 0, signal: null });
    for (const client of ['mongodb', 'kafka']) await service.line({ event: 'closed', client });
  });
}

test('an order that waits for its message at SIGTERM gets its answer; the message is sent once', async (t, stack) => {
  const service = await start(t, stack.env);
  assert.equal((await order(service, 'before')).status, 201);
  stack.kafka.kill('SIGSTOP');
  const waiting = order(service, 'waiting');
  await sleep(300);
  service.kill('SIGTERM');
  // Longer than the time after which the producer sends again.
  await sleep(4_000);
  stack.kafka.kill('SIGCONT');

  assert.equal((await waiting).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
  assert.equal((await stack.counts())['waiting']?.messages, 1);
});

test('closing the Kafka client waits for messages under way', async (_t, { env, kafka, counts }) => {
  const client = new Kafka([`127.0.0.1:${kafka.port}`], String(env['KAFKA_TOPIC']));
  await client.connect();
  const ids = Array.from({ length: 50 }, (_, number) => `order-${number}`);
  const sends = Promise.all(ids.map((id) => client.send(id)));
  await client.close();

  await sends;
  const all = await counts();
  assert.deepEqual(
    ids.filter((id) => all[id]?.messages !== 1),
    [],
  );
});

test('a server that starts later than the service: health is 503 until then', async (t, { env, redis }) => {
  redis.kill('SIGKILL');
  const service = await start(t, env, { until: { event: 'no connection yet', client: 'redis' } });
  await service.line({ event: 'connected', client: 'kafka' });
  assert.equal((await send(service)).status, 503);
  assert.equal((await order(service, 'early')).status, 503);

  await using _later = await startRedis(redis.port);
  await service.line({ event: 'ready' });
  assert.equal((await send(service)).status, 200);
  assert.equal((await order(service, 'early')).status, 201);
});

test('SIGTERM while the service waits for a server ends it with 0', async (t, { env, redis }) => {
  redis.kill('SIGKILL');
  const service = await start(t, env, { until: { event: 'no connection yet', client: 'redis' } });
  service.kill('SIGTERM');
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('a server that answers only after SIGTERM: no worker begins', async (t, { env, redis }) => {
  redis.kill('SIGSTOP');
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '3000' }, { until: { event: 'listening' } });
  await service.line({ event: 'connected', client: 'mongodb' });
  await service.line({ event: 'connected', client: 'kafka' });
  service.kill('SIGTERM');
  await service.line({ event: 'begun' });
  redis.kill('SIGCONT');
  await service.line({ event: 'connected', client: 'redis' });

  assert.deepEqual(await service.exit(), { code: 0, signal: null });
  assert.ok(!service.lines.some(({ event }) => event === 'ready'), 'the worker began');
});
