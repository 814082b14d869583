import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Jobs } from '../service/jobs.ts';
import { commandClient, workerClient } from '../service/redis.ts';
import { keptConnection, order, send, silentClient, webSocketClient } from '../testing/client.ts';
import { start } from '../testing/process.ts';
import { eventually, testsWithServers } from '../testing/stack.ts';

const test = testsWithServers();
const once = { documents: 1, messages: 1, started: 1, completed: 1 };

test('kill -15 while orders run: each acknowledged one is stored and processed exactly once', async (t, {
  env,
  counts,
  jobs,
}) => {
  const service = await start(t, { ...env, WORK_MS: '300', JOB_MS: '300' });
  const acknowledged: string[] = [];
  // 20 clients, each with one order after the other on a kept connection.
  const clients = Array.from({ length: 20 }, async (_, client) => {
    const agent = keptConnection(t);
    for (let number = 0; ; number += 1) {
      const id = `${client}-${number}`;
      const answer = await order(service, id, agent);
      assert.equal(answer.status, 201);
      acknowledged.push(id);
      if (answer.headers.connection === 'close') return;
    }
  });
  const finished = Promise.all(clients);
  await eventually('each client has had some answers', () => acknowledged.length >= 60);
  service.kill('SIGTERM');

  await finished;
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
  // Jobs that still waited when the worker closed are for another replica.
  const other = await start(t, env);
  await eventually('all jobs complete', async () => {
    const { completed } = await jobs();
    return acknowledged.every((id) => id in completed);
  });
  other.kill('SIGTERM');
  await other.exit();

  const all = await counts();
  for (const id of acknowledged) assert.deepEqual(all[id], once, id);
});

test('a job that runs at SIGTERM ends before the clients close', async (t, { env, redis, counts, jobs }) => {
  // Longer than the limit for closing the worker.
  const service = await start(t, { ...env, JOB_MS: '6000' });
  assert.equal((await order(service, 'long')).status, 201);
  await eventually('the job starts', async () => 'long' in (await jobs()).started);
  service.kill('SIGTERM');

  assert.deepEqual(await service.exit(), { code: 0, signal: null });
  assert.deepEqual((await counts())['long'], once);
  assert.deepEqual(await jobStates(redis), { active: 0, completed: 1 });

  const events = service.lines.map(({ event, client }) => (client ? `${event} ${client}` : event));
  const phases = ['begun', 'listeners-closed', 'connections-closed', 'drained jobs', 'closed mongodb', 'finished'];
  assert.deepEqual(
    events.filter((event) => phases.includes(String(event))),
    phases,
  );
  for (const client of ['redis', 'kafka']) {
    assert.ok(events.indexOf(`closed ${client}`) > events.indexOf('drained jobs'), `${client} closed after the jobs`);
  }
});

test('a job that is fetched while the worker closes has no limit either', async (t, { env, jobs }) => {
  const redisUrl = String(env['REDIS_URL']);
  const commands = commandClient(redisUrl);
  t.after(() => commands.disconnect());
  await commands.connect();
  const first = Promise.withResolvers<void>();
  // Longer than the limit for closing the worker.
  const worker = new Jobs({ commands, redisUrl, jobMs: 6_000, completed: () => first.resolve() });
  // One more than run at the same time. It comes with the reply to the completion of the first one.
  await Promise.all(Array.from({ length: 51 }, (_, number) => worker.add(`${number}`)));
  await first.promise;
  // After the request for it was sent, and before the reply is read.
  await new Promise(setImmediate);
  await worker.drain();

  const { started, completed } = await jobs();
  assert.equal(Object.keys(started).length, 51);
  assert.deepEqual(completed, started);
});

test('a job that is added after SIGTERM is for another replica', async (t, { env, counts, jobs }) => {
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '2000' });
  service.kill('SIGTERM');
  await service.line({ event: 'begun' });
  assert.equal((await order(service, 'late')).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
  assert.deepEqual((await jobs()).started, {});

  const other = await start(t, env);
  await eventually('the job completes', async () => 'late' in (await jobs()).completed);
  other.kill('SIGTERM');
  await other.exit();
  assert.deepEqual((await counts())['late'], once);
});

test('health turns 503 and answers say Connection: close while orders are still accepted', async (t, { env }) => {
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '3000' });
  const agent = keptConnection(t);
  const before = await send(service, { agent });
  assert.deepEqual([before.status, before.headers.connection], [200, 'keep-alive']);
  service.kill('SIGTERM');
  await service.line({ event: 'begun' });

  const health = await send(service, { agent });
  assert.deepEqual([health.status, health.headers.connection], [503, 'close']);
  assert.equal((await order(service, 'late')).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('a WebSocket client hears of its order, and then sees close code 1001', async (t, { env }) => {
  const service = await start(t, env);
  const client = await webSocketClient(t, service);
  await order(service, 'a');
  await eventually('the message arrives', () => client.messages.length > 0);
  assert.deepEqual(client.messages, [{ completed: 'a' }]);
  service.kill('SIGTERM');

  assert.equal(await client.closed, 1001);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('a second signal changes nothing', async (t, { env }) => {
  const service = await start(t, { ...env, WORK_MS: '1500' });
  const open = order(service, 'open');
  await sleep(200);
  service.kill('SIGTERM');
  await service.line({ event: 'begun' });
  service.kill('SIGTERM');
  await service.line({ event: 'signal-ignored', signal: 'SIGTERM' });
  service.kill('SIGINT');
  await service.line({ event: 'signal-ignored', signal: 'SIGINT' });

  assert.equal((await open).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('SIGINT shuts down in the same way', async (t, { env }) => {
  const service = await start(t, { ...env, WORK_MS: '1000' });
  const open = order(service, 'open');
  await sleep(200);
  service.kill('SIGINT');

  assert.equal((await open).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

for (const half of ['headers', 'body'] as const) {
  test(`a client that sends half of its ${half} does not hold the shutdown`, async (t, { env }) => {
    const service = await start(t, env);
    await silentClient(t, service, half);
    service.kill('SIGTERM');
    assert.deepEqual(await service.exit(), { code: 0, signal: null });
  });
}

test('a job that never ends: the deadline of the pod ends the process with 1', async (t, { env, jobs }) => {
  const service = await start(t, { ...env, JOB_MS: '600000', WINDDOWN_DEADLINE_SECONDS: '2' });
  await order(service, 'stuck');
  await eventually('the job starts', async () => 'stuck' in (await jobs()).started);
  service.kill('SIGTERM');

  const { pending } = await service.line({ event: 'deadline-passed' });
  assert.ok((pending as string[]).includes('jobs'), `pending: ${pending}`);
  assert.deepEqual(await service.exit(), { code: 1, signal: null });
});

test('an uncaught exception is logged and exits with 1', async (t, { env }) => {
  const service = await start(t, env, { preload: './testing/throw-on-sigusr2.ts' });
  service.kill('SIGUSR2');
  assert.match(String((await service.line({ event: 'uncaught-exception' }))['error']), /thrown on SIGUSR2/);
  assert.deepEqual(await service.exit(), { code: 1, signal: null });
});

test('an order that is sent again changes nothing', async (t, { env, counts, jobs }) => {
  const service = await start(t, env);
  for (let repetition = 0; repetition < 3; repetition += 1) assert.equal((await order(service, 'same')).status, 201);
  await eventually('the job completes', async () => 'same' in (await jobs()).completed);
  assert.deepEqual((await counts())['same'], once);
});

test('an id that is no order is answered with 400', async (t, { env, counts }) => {
  const service = await start(t, env);
  for (const id of ['', 'a b', 'a:b', 'x'.repeat(65)]) assert.equal((await order(service, id)).status, 400, id);
  assert.deepEqual(await counts(), {});
});

async function jobStates({ port }: { port: number }): Promise<{ active?: number; completed?: number }> {
  const connection = workerClient(`redis://127.0.0.1:${port}`);
  const { active, completed } = await new Queue('orders', { connection }).getJobCounts('active', 'completed');
  connection.disconnect();
  return { active, completed };
}
