import assert from 'node:assert/strict';
import { test as bounded } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareConnection, keptConnection, send, start } from '../testing/process.js';

const test = (name, body) => bounded(name, { timeout: 20_000 }, body);

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`an open request completes after ${signal}, then the process exits 0`, async (t) => {
    const server = await start(t, { WORK_MS: '800', SHUTDOWN_WAIT_MS: '100' });
    const open = send(server, '/', { method: 'POST', body: 'x' });
    await sleep(200);
    server.kill(signal);

    const answer = await open;
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).shuttingDown, true);
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
  });
}

test('the deadline exits 1 while a request is still open', async (t) => {
  const server = await start(t, { WORK_MS: '60000', SHUTDOWN_WAIT_MS: '100', SHUTDOWN_DEADLINE_MS: '500' });
  const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
  await sleep(200);
  server.kill('SIGTERM');

  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  await server.phase('deadline passed');
  await dropped;
});

test('a distant deadline does not keep the process alive', async (t) => {
  const server = await start(t, { SHUTDOWN_DEADLINE_MS: '3600000' });
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('answers say Connection: close once shutdown began, on kept connections too', async (t) => {
  const server = await start(t, { WORK_MS: '300', SHUTDOWN_WAIT_MS: '3000' });
  const before = await send(server, '/', { agent: keptConnection(t) });
  assert.equal(before.headers.connection, 'keep-alive');

  const idle = keptConnection(t);
  await send(server, '/', { agent: idle });
  const inFlight = send(server, '/', { agent: keptConnection(t) });
  await sleep(100);
  server.kill('SIGTERM');
  await server.phase('shutdown begun');

  assert.equal((await send(server, '/', { agent: idle })).headers.connection, 'close');
  assert.equal((await send(server, '/')).headers.connection, 'close');
  assert.equal((await inFlight).headers.connection, 'close');
});

test('a kept connection that stays idle is closed after the wait and not before', async (t) => {
  const server = await start(t, { SHUTDOWN_WAIT_MS: '1000' });
  const { socket, closed } = await bareConnection(t, server);
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await sleep(300);
  server.kill('SIGTERM');
  await server.phase('shutdown begun');
  const begun = performance.now();

  await closed;
  // The signal's line may arrive late, never early.
  assert.ok(performance.now() - begun > 500, 'closed without the wait');
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a connection that never sent a request does not hold the shutdown up', async (t) => {
  const server = await start(t);
  const { closed } = await bareConnection(t, server);
  server.kill('SIGTERM');
  await closed;
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a large answer under way when the listener closes arrives whole', async (t) => {
  const server = await start(t, { SHUTDOWN_WAIT_MS: '100' }, 'testing/careless.js');
  const { socket, closed } = await bareConnection(t, server);
  let received = 0;
  socket.on('data', (chunk) => (received += chunk.length));
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
  socket.pause();
  await server.phase('large answer handed over');
  server.kill('SIGTERM');
  await server.phase('listener closed');
  await sleep(300);

  socket.resume();
  await closed;
  assert.ok(received > 32 * 1024 * 1024, `${received} bytes arrived`);
});

test('/health answers 503 as soon as shutdown began, while requests are still served', async (t) => {
  const server = await start(t, { SHUTDOWN_WAIT_MS: '2000' });
  assert.equal((await send(server, '/health')).status, 200);
  server.kill('SIGTERM');
  await server.phase('shutdown begun');

  assert.equal((await send(server, '/health')).status, 503);
  assert.equal((await send(server, '/any', { method: 'PUT', body: 'x' })).status, 200);
});

test('the listener closes after the wait and refuses from then on', async (t) => {
  const server = await start(t, { WORK_MS: '1500' });
  const open = send(server);
  await sleep(100);
  server.kill('SIGTERM');
  const { ms } = await server.phase('listener closed');

  assert.ok(ms >= 400, `the listener closed after ${ms} ms`);
  await assert.rejects(send(server), { code: 'ECONNREFUSED' });
  assert.equal((await open).status, 200);
});

test('a second signal is ignored', async (t) => {
  const server = await start(t, { WORK_MS: '1000' });
  const open = send(server);
  await sleep(200);
  server.kill('SIGTERM');
  await server.phase('shutdown begun');
  server.kill('SIGTERM');
  server.kill('SIGINT');
  await server.phase('signal ignored');

  assert.equal((await open).status, 200);
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('a clean-up step that fails is logged, stops no other and leaves the exit clean', async (t) => {
  const server = await start(t, {}, 'testing/careless.js');
  server.kill('SIGTERM');

  assert.deepEqual(await server.exit(), { code: 0, signal: null });
  assert.equal((await server.phase('clean-up failed')).step, 'broken');
  await server.phase('sound step ran');
});

for (const [path, event] of [['/throw', 'uncaughtException'], ['/reject', 'unhandledRejection']]) {
  test(`an ${event} is logged and exits 1`, async (t) => {
    const server = await start(t, {}, 'testing/careless.js');
    await assert.rejects(send(server, path), { code: 'ECONNRESET' });

    assert.deepEqual(await server.exit(), { code: 1, signal: null });
    assert.match((await server.phase(event)).error, /nobody/);
  });
}

test('control: MISTAKE=exit-at-once drops the open request', async (t) => {
  const server = await start(t, { WORK_MS: '2000', MISTAKE: 'exit-at-once' });
  const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
  await sleep(200);
  server.kill('SIGTERM');

  await dropped;
  assert.deepEqual(await server.exit(), { code: 0, signal: null });
});

test('control: MISTAKE=no-handler drops the open request', async (t) => {
  const server = await start(t, { WORK_MS: '2000', MISTAKE: 'no-handler' });
  const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
  await sleep(200);
  server.kill('SIGTERM');

  await dropped;
  assert.deepEqual(await server.exit(), { code: null, signal: 'SIGTERM' });
});
