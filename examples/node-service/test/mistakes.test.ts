import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { keptConnection, order, send, silentClient, webSocketClient } from '../testing/client.ts';
import { start } from '../testing/process.ts';
import { eventually, testsWithServers } from '../testing/stack.ts';

// Each mistake fails what server.ts passes in shutdown.test.ts and outages.test.ts.

const test = testsWithServers();
const mistake = (name: string) => ({ script: `mistakes/${name}.ts` });

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`the common base: an open order is answered after ${signal}, and the exit code is 0`, async (t, { env }) => {
    const service = await start(t, { ...env, WORK_MS: '1000' }, mistake('sound'));
    const open = order(service, 'open');
    await sleep(300);
    service.kill(signal);

    assert.equal((await open).status, 201);
    assert.deepEqual(await service.exit(), { code: 0, signal: null });
  });
}

for (const [name, signal, exit] of [
  ['no-handler', 'SIGTERM', { code: null, signal: 'SIGTERM' }],
  ['sigint-unhandled', 'SIGINT', { code: null, signal: 'SIGINT' }],
  ['exit-at-once', 'SIGTERM', { code: 0, signal: null }],
] as const) {
  test(`${name}: an open order is reset, and a running job stops in the middle`, async (t, { env, counts, jobs }) => {
    const service = await start(t, { ...env, WORK_MS: '3000', JOB_MS: '30000' }, mistake(name));
    assert.equal((await order(service, 'job')).status, 201);
    await eventually('the job starts', async () => 'job' in (await jobs()).started);
    const open = assert.rejects(order(service, 'open'), { code: 'ECONNRESET' });
    await sleep(300);
    service.kill(signal);

    await open;
    assert.deepEqual(await service.exit(), exit);
    assert.deepEqual((await counts())['job'], { documents: 1, messages: 1, started: 1, completed: 0 });
  });
}

test('no-deadline: a client that sends half of a request holds the process', async (t, { env }) => {
  const service = await start(t, { ...env, WINDDOWN_DEADLINE_SECONDS: '2' }, mistake('no-deadline'));
  await silentClient(t, service);
  service.kill('SIGTERM');

  assert.ok(await service.outlives(5_000), 'the process ended');
  assert.deepEqual(
    service.lines.filter(({ event }) => event === 'drained' || event === 'closed'),
    [],
  );
});

test('no-connection-close: answers during the shutdown keep the connection', async (t, { env }) => {
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '3000' }, mistake('no-connection-close'));
  const agent = keptConnection(t);
  await send(service, { agent });
  service.kill('SIGTERM');
  await eventually('health fails', async () => (await send(service, { agent })).status === 503);

  assert.equal((await send(service, { agent })).headers.connection, 'keep-alive');
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('health-stays-200: the health check passes until the listener closes', async (t, { env }) => {
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '2000' }, mistake('health-stays-200'));
  service.kill('SIGTERM');
  await eventually('the shutdown begins', async () => (await send(service)).headers.connection === 'close');

  assert.equal((await send(service)).status, 200);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('no-wait: new connections are refused as soon as the signal arrives', async (t, { env }) => {
  const service = await start(t, { ...env, SHUTDOWN_WAIT_MS: '60000', WORK_MS: '3000' }, mistake('no-wait'));
  const open = order(service, 'open');
  await sleep(300);
  service.kill('SIGTERM');
  await sleep(500);

  await assert.rejects(send(service), { code: 'ECONNREFUSED' });
  assert.equal((await open).status, 201);
  assert.deepEqual(await service.exit(), { code: 0, signal: null });
});

test('promise-all: with Redis down, the process exits before the other clients are closed', async (t, { env, redis }) => {
  const service = await start(t, env, mistake('promise-all'));
  assert.equal((await order(service, 'before')).status, 201);
  await sleep(300);
  redis.kill('SIGKILL');
  await sleep(500);
  service.kill('SIGTERM');

  assert.deepEqual(await service.exit(), { code: 1, signal: null });
  assert.deepEqual(
    service.lines.filter(({ event }) => event === 'closed'),
    [],
  );
});

test('websocket-forgotten: clients see 1006, when the deadline ends the process', async (t, { env }) => {
  const service = await start(t, { ...env, WINDDOWN_DEADLINE_SECONDS: '2' }, mistake('websocket-forgotten'));
  const client = await webSocketClient(t, service);
  service.kill('SIGTERM');

  assert.equal(await client.closed, 1006);
  assert.deepEqual(await service.exit(), { code: 1, signal: null });
});

test('second-signal: an open order is reset by the second SIGTERM', async (t, { env }) => {
  const service = await start(t, { ...env, WORK_MS: '3000', SHUTDOWN_WAIT_MS: '3000' }, mistake('second-signal'));
  const open = assert.rejects(order(service, 'open'), { code: 'ECONNRESET' });
  await sleep(300);
  service.kill('SIGTERM');
  await eventually('the shutdown begins', async () => (await send(service)).status === 503);
  service.kill('SIGTERM');

  await open;
  assert.deepEqual(await service.exit(), { code: 1, signal: null });
});

test('uncaught-exception: the process goes on and looks healthy', async (t, { env }) => {
  const service = await start(t, env, { ...mistake('uncaught-exception'), preload: './testing/throw-on-sigusr2.ts' });
  service.kill('SIGUSR2');

  assert.ok(await service.outlives(1_000), 'the process ended');
  assert.equal((await send(service)).status, 200);
});
