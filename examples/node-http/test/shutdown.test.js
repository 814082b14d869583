import assert from 'node:assert/strict';
import { test as bounded } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { keptConnection, send, start as startScript } from '../../../packages/winddown-node/testing/process.js';

const test = (name, body) => bounded(name, { timeout: 20_000 }, body);
const script = new URL('../server.js', import.meta.url);
const defaults = { PORT: '0', WORK_MS: '10', SHUTDOWN_WAIT_MS: '400' };
const start = (t, env) => startScript(t, { ...defaults, ...env }, script);

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`an open request completes after ${signal}, then the process exits 0`, async (t) => {
    const server = await start(t, { WORK_MS: '800', SHUTDOWN_WAIT_MS: '100' });
    const open = send(server, '/', { method: 'POST', body: 'x', agent: keptConnection(t) });
    await sleep(200);
    server.kill(signal);

    const answer = await open;
    assert.deepEqual([answer.status, answer.headers.connection], [200, 'close']);
    assert.equal(JSON.parse(answer.body).shuttingDown, true);
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });
}

test('/health answers 503 as soon as shutdown began, while requests are still served', async (t) => {
  const server = await start(t, { SHUTDOWN_WAIT_MS: '2000' });
  assert.equal((await send(server, '/health')).status, 200);
  server.kill('SIGTERM');
  await server.event('begun');

  assert.equal((await send(server, '/health')).status, 503);
  assert.equal((await send(server, '/any', { method: 'PUT', body: 'x' })).status, 200);
});

test('the deadline of the pod exits 1 while a request is still open', async (t) => {
  const server = await start(t, { WORK_MS: '60000', WINDDOWN_DEADLINE_SECONDS: '1' });
  const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
  await sleep(200);
  server.kill('SIGTERM');

  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  await dropped;
});

for (const [MISTAKE, exit] of [
  ['exit-at-once', { code: 0, signal: null }],
  ['no-handler', { code: null, signal: 'SIGTERM' }],
]) {
  test(`control: MISTAKE=${MISTAKE} drops the open request`, async (t) => {
    const server = await start(t, { WORK_MS: '2000', MISTAKE });
    const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
    await sleep(200);
    server.kill('SIGTERM');

    await dropped;
    assert.deepEqual(await server.exit(), exit);
  });
}
