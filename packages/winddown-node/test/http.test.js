import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { bounded as test } from '../testing/bounded.js';
import { bareConnection, keptConnection, send, start } from '../testing/process.js';

const CLEAN = { code: 0, signal: null };

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`an open request completes after ${signal}, then the process exits 0`, async (t) => {
    const server = await start(t, { WAIT_MS: '100' });
    const open = send(server, '/slow?600', { method: 'POST', body: 'x' });
    await server.event('slow request');
    server.kill(signal);

    assert.deepEqual(await open.then(({ status, body }) => ({ status, body })), { status: 200, body: 'slow' });
    assert.deepEqual(await server.exit(), CLEAN);
    assert.equal((await server.event('outcome')).reason, signal);
  });
}

test('answers say Connection: close once shutdown began, on kept connections too', async (t) => {
  const server = await start(t, { WAIT_MS: '3000' });
  const idle = keptConnection(t);
  assert.equal((await send(server, '/', { agent: idle })).headers.connection, 'keep-alive');
  const inFlight = send(server, '/slow?300', { agent: keptConnection(t) });
  await server.event('slow request');
  server.kill('SIGTERM');
  await server.event('begun');

  assert.equal((await send(server, '/', { agent: idle })).headers.connection, 'close');
  assert.equal((await send(server, '/', { agent: keptConnection(t) })).headers.connection, 'close');
  assert.equal((await inFlight).headers.connection, 'close');
});

test('an answer that the app marked as keep-alive before the signal says close', async (t) => {
  const server = await start(t, { WAIT_MS: '3000' });
  const answer = send(server, '/keep-alive?300', { agent: keptConnection(t) });
  await server.event('slow request');
  server.kill('SIGTERM');
  assert.equal((await answer).headers.connection, 'close');
});

test('a kept connection that stays idle is closed after the wait and not before', async (t) => {
  const server = await start(t, { WAIT_MS: '1000' });
  const { socket, closed } = await bareConnection(t, server);
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await sleep(300);
  server.kill('SIGTERM');
  await server.event('begun');
  const begun = performance.now();

  await closed;
  // The signal's line may arrive late, never early.
  assert.ok(performance.now() - begun > 500, 'closed without the wait');
  assert.deepEqual(await server.exit(), CLEAN);
});

test('a kept connection whose last answer ends within the wait stays for another wait', async (t) => {
  const server = await start(t, { WAIT_MS: '1000' });
  const { socket, closed } = await bareConnection(t, server);
  // Its headers are sent before the signal, so they say keep-alive.
  socket.write('GET /stream?1000 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await sleep(300);
  server.kill('SIGTERM');

  await closed;
  await server.exit();
  const [listeners, connections] = [await server.event('listeners-closed'), await server.event('connections-closed')];
  assert.ok(connections.ms - listeners.ms > 400, `closed after ${connections.ms} ms`);
});

test('a request that arrived before an idle connection is closed is answered, also by a process that was busy', async (t) => {
  const server = await start(t);
  const kept = await bareConnection(t, server);
  kept.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  while (!kept.text().includes('ok')) await sleep(10);
  // The timers of the shutdown are due when the process can read again.
  send(server, '/begin-and-block?4000').catch(() => {});
  await server.event('blocked');
  kept.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');

  await kept.closed;
  assert.equal(kept.text().match(/200 OK/g).length, 2);
});

test('a connection that never sent a request does not hold the shutdown up', async (t) => {
  const server = await start(t);
  const { closed } = await bareConnection(t, server);
  server.kill('SIGTERM');
  await closed;
  assert.deepEqual(await server.exit(), CLEAN);
});

test('a large answer under way when the listener closes arrives whole', async (t) => {
  const server = await start(t, { WAIT_MS: '100' });
  const { socket, closed, text } = await bareConnection(t, server);
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
  socket.pause();
  await server.event('large answer handed over');
  server.kill('SIGTERM');
  await server.event('listeners-closed');
  await sleep(300);

  socket.resume();
  await closed;
  assert.ok(text().length > 32 * 1024 * 1024, `${text().length} bytes arrived`);
});

test('a client that is answered before it has sent its whole request can send the rest, and no reset follows', async (t) => {
  const server = await start(t, { WAIT_MS: '3000' });
  // A client that goes on after the end of the answer.
  const { socket, closed, text } = await bareConnection(t, server, { allowHalfOpen: true });
  server.kill('SIGTERM');
  await server.event('begun');
  const body = Buffer.alloc(1024 * 1024, 'x');
  socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${3 * body.length}\r\n\r\n`);
  for (let part = 0; part < 3; part += 1) {
    socket.write(body);
    await sleep(100);
  }
  socket.end();
  // Rejects with ECONNRESET or EPIPE if the server closes while a part is unread.
  await closed;
  assert.match(text(), /^HTTP\/1.1 200 OK\r\n.*Connection: close\r\n.*ok/s);
});

test('health is 503 as soon as shutdown began, while requests are still served', async (t) => {
  const server = await start(t, { WAIT_MS: '2000' });
  assert.equal((await send(server, '/health')).status, 200);
  server.kill('SIGTERM');
  await server.event('begun');

  assert.equal((await send(server, '/health')).status, 503);
  assert.equal((await send(server, '/any', { method: 'PUT', body: 'x' })).status, 200);
});

test('the listener closes after the wait and refuses from then on', async (t) => {
  const server = await start(t);
  const open = send(server, '/slow?1500');
  await server.event('slow request');
  server.kill('SIGTERM');
  const { ms } = await server.event('listeners-closed');

  assert.ok(ms >= 400, `the listener closed after ${ms} ms`);
  await assert.rejects(send(server), { code: 'ECONNREFUSED' });
  assert.equal((await open).status, 200);
});

test('an answer that never ends by itself can end with the signal of the shutdown', async (t) => {
  const server = await start(t);
  const stream = send(server, '/streams-until-shutdown');
  await sleep(200);
  server.kill('SIGTERM');
  assert.equal((await stream).body, 'firstlast');
  assert.deepEqual(await server.exit(), CLEAN);
});
