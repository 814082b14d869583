import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { bounded as test } from '../testing/bounded.js';
import { bareConnection, send, start } from '../testing/process.js';

const CLEAN = { code: 0, signal: null };

test('the deadline exits 1 while a request is still open, and says what it waited for', async (t) => {
  const server = await start(t, { WAIT_MS: '100', DEADLINE_MS: '500' });
  const dropped = assert.rejects(send(server, '/slow?60000'), { code: 'ECONNRESET' });
  await server.event('slow request');
  server.kill('SIGTERM');

  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  assert.deepEqual((await server.event('deadline-passed')).pending, ['connections']);
  await dropped;
  const { deadlinePassed, exitCode } = await server.event('outcome');
  assert.deepEqual({ deadlinePassed, exitCode }, { deadlinePassed: true, exitCode: 1 });
});

test('the deadline exits 1 while a step of the clean-up hangs, and names the step', async (t) => {
  const server = await start(t, { WAIT_MS: '100', DEADLINE_MS: '700', STEPS: 'hanging' });
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  assert.deepEqual((await server.event('deadline-passed')).pending, ['phase 1', 'hanging']);
});

test('a process that ends while a step is pending exits 1, because the deadline does not keep it alive', async (t) => {
  const server = await start(t, { STEPS: 'forgotten', DEADLINE_MS: '3600000' });
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 1, signal: null });
});

test('the deadline comes from WINDDOWN_DEADLINE_SECONDS', async (t) => {
  const server = await start(t, { WINDDOWN_DEADLINE_SECONDS: '1' });
  send(server, '/slow?60000').catch(() => {});
  await server.event('slow request');
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  assert.equal((await server.event('begun')).deadlineMs, 1000);
});

test('a second signal is ignored and logged', async (t) => {
  const server = await start(t);
  const open = send(server, '/slow?1000');
  await server.event('slow request');
  server.kill('SIGTERM');
  await server.event('begun');
  server.kill('SIGTERM');
  server.kill('SIGINT');
  await server.event('signal-ignored');

  assert.equal((await open).status, 200);
  assert.deepEqual(await server.exit(), CLEAN);
});

for (const steps of ['failing', 'throwing']) {
  test(`a ${steps} step is logged, stops no other and leaves the exit clean`, async (t) => {
    const server = await start(t, { STEPS: steps });
    server.kill('SIGTERM');

    assert.deepEqual(await server.exit(), CLEAN);
    assert.equal((await server.event('step-failed')).step, 'broken');
    await server.event('sound step');
    const [failed] = (await server.event('outcome')).failedSteps;
    assert.deepEqual({ ...failed, error: '' }, { phase: 1, step: 'broken', error: '' });
  });
}

test('phases run in order after the last connection, the steps of a phase together', async (t) => {
  const server = await start(t, { STEPS: 'ordered' });
  const open = send(server, '/slow?800');
  await server.event('slow request');
  server.kill('SIGTERM');
  await open;
  await server.exit();

  const events = server.lines.map(({ event }) => event).slice(2);
  assert.deepEqual(events, [
    'begun',
    'listeners-closed',
    'connections-closed',
    'jobs closed',
    'phase-finished',
    'slow began',
    'fast closed',
    'slow closed',
    'phase-finished',
    'finished',
    'outcome',
  ]);
  const { durations } = await server.event('outcome');
  assert.deepEqual(Object.keys(durations), ['wait', 'connections', 'phase 1', 'phase 2']);
});

for (const [path, event] of [
  ['/throw', 'uncaught-exception'],
  ['/reject', 'unhandled-rejection'],
]) {
  test(`an ${event} is logged and exits 1`, async (t) => {
    const server = await start(t);
    await assert.rejects(send(server, path), { code: 'ECONNRESET' });

    assert.deepEqual(await server.exit(), { code: 1, signal: null });
    assert.match((await server.event(event)).error, /on purpose/);
  });
}

test('an error in what the app does at the end is logged and exits 1', async (t) => {
  const server = await start(t, { THROW_AT_END: 'yes' });
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  assert.match((await server.event('unhandled-rejection')).error, /on purpose/);
});

test('a closed stdout does not stop the shutdown', async (t) => {
  const server = await start(t);
  const open = send(server, '/slow?600');
  await server.event('slow request');
  server.closeOutput();
  server.kill('SIGTERM');
  assert.equal((await open).status, 200);
  assert.deepEqual(await server.exit(), CLEAN);
});

test('begin() shuts down without a signal, with the exit code of the caller', async (t) => {
  const server = await start(t);
  const open = send(server, '/slow?700');
  await server.event('slow request');
  await send(server, '/begin');
  server.kill('SIGTERM');

  assert.equal((await open).status, 200);
  assert.deepEqual(await server.exit(), { code: 3, signal: null });
  assert.equal((await server.event('outcome')).reason, 'lost its database');
});

for (const LISTEN of ['never', 'closed']) {
  test(`a server that ${LISTEN === 'never' ? 'never listened' : 'was closed before'} does not hold the shutdown up`, async (t) => {
    const server = await start(t, { LISTEN });
    server.kill('SIGTERM');
    assert.deepEqual(await server.exit(), CLEAN);
  });
}

test('each line says how many connections and requests are open', async (t) => {
  const server = await start(t, { WAIT_MS: '100' });
  const silent = await bareConnection(t, server);
  const open = send(server, '/slow?600');
  await server.event('slow request');
  await sleep(50);
  server.kill('SIGTERM');
  await open;
  await silent.closed;
  await server.exit();

  const count = async (event) => {
    const { connections, openRequests } = await server.event(event);
    return { connections, openRequests };
  };
  assert.deepEqual(await count('begun'), { connections: 2, openRequests: 1 });
  assert.deepEqual(await count('connections-closed'), { connections: 0, openRequests: 0 });
});
