import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { bounded as test } from '../testing/bounded.js';
import { bareSession } from '../testing/http2.js';
import { bareConnection, keptConnection, send, start } from '../testing/process.js';

const CLEAN = { code: 0, signal: null };

for (const PROTOCOL of ['h2c', 'h2', 'h2c-streams']) {
  test(`${PROTOCOL}: an open stream completes, and the process exits 0`, async (t) => {
    const server = await start(t, { PROTOCOL });
    const session = connect(t, server, PROTOCOL);
    const open = stream(session, '/slow?800');
    await server.event('slow request');
    server.kill('SIGTERM');

    assert.equal(await open, 200);
    assert.deepEqual(await server.exit(), CLEAN);
    assert.equal((await server.event('begun')).openRequests, 1);
  });
}

test('a session without streams serves its next request, and GOAWAY arrives before the answer', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c', WAIT_MS: '3000' });
  const session = await bareSession(t, server);
  session.get(1);
  await session.answer(1);
  server.kill('SIGTERM');
  await server.event('begun');
  assert.deepEqual(session.goaways, []);
  session.get(3, '/slow?300');
  await session.goaway();
  assert.ok(!session.answered.has(3), 'answered before GOAWAY');

  await session.answer(3);
  await session.closed;
  assert.equal(session.goaways[0], 3, 'GOAWAY names the last stream');
  assert.ok(
    !server.lines.some(({ event }) => event === 'listeners-closed'),
    'the session stayed open until the wait ended',
  );
});

test('a stream that crosses GOAWAY is not processed, and GOAWAY says so: the client can send it again', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c', WAIT_MS: '2000' });
  const session = await bareSession(t, server);
  session.get(1, '/slow?600');
  await server.event('slow request');
  server.kill('SIGTERM');
  await session.goaway();
  session.get(3);

  await session.answer(1);
  await session.closed;
  assert.ok(!session.answered.has(3));
  assert.deepEqual([...new Set(session.goaways)], [1]);
});

test('an idle session is closed with GOAWAY after the wait', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c' });
  const session = connect(t, server, 'h2c');
  assert.equal(await stream(session, '/'), 200);
  const goaway = once(session, 'goaway');
  server.kill('SIGTERM');
  assert.equal((await goaway)[0], http2.constants.NGHTTP2_NO_ERROR);
  assert.deepEqual(await server.exit(), CLEAN);
});

test('idle sessions whose clients do not close after GOAWAY do not hold the shutdown up', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c' });
  await bareConnection(t, server, { allowHalfOpen: true });
  const used = await bareSession(t, server, { allowHalfOpen: true });
  used.get(1);
  await used.answer(1);
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), CLEAN);
  assert.equal(used.goaways[0], 1);
});

test('over TLS, such a session does not hold the shutdown up, either, also after a long wait', async (t) => {
  const { port, kill, exit } = await start(t, { PROTOCOL: 'h2', WAIT_MS: '2000', DEADLINE_MS: '4000' });
  const options = { host: '127.0.0.1', port, ALPNProtocols: ['h2'], allowHalfOpen: true, rejectUnauthorized: false };
  const socket = tls
    .connect(options)
    .resume()
    .on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  kill('SIGTERM');
  assert.deepEqual(await exit(), CLEAN);
});

test('a session whose stream does not end is destroyed at the deadline', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c', WAIT_MS: '100', DEADLINE_MS: '600' });
  const session = connect(t, server, 'h2c');
  const open = assert.rejects(stream(session, '/slow?60000'));
  await server.event('slow request');
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit(), { code: 1, signal: null });
  await open;
});

test('health over HTTP/2 is 503 once shutdown began', async (t) => {
  const server = await start(t, { PROTOCOL: 'h2c', WAIT_MS: '1000' });
  assert.equal(await stream(connect(t, server, 'h2c'), '/health'), 200);
  server.kill('SIGTERM');
  await server.event('begun');
  assert.equal(await stream(connect(t, server, 'h2c'), '/health'), 503);
});

for (const PROTOCOL of ['https', 'h2']) {
  test(`${PROTOCOL}: HTTP/1.1 over TLS gets Connection: close, and idle connections are closed after the wait`, async (t) => {
    const server = await start(t, { PROTOCOL, WAIT_MS: '1000' });
    const over = { via: https.request };
    const idle = keptConnection(t, https.Agent);
    const used = keptConnection(t, https.Agent);
    for (const agent of [idle, used]) {
      assert.equal((await send(server, '/', { ...over, agent })).headers.connection, 'keep-alive');
    }
    // Neither begins a handshake.
    const silent = await bareConnection(t, server);
    const open = send(server, '/slow?1500', over);
    await server.event('slow request');
    server.kill('SIGTERM');
    await server.event('begun');

    assert.equal((await send(server, '/', { ...over, agent: used })).headers.connection, 'close');
    assert.equal((await open).status, 200);
    await silent.closed;
    assert.deepEqual(await server.exit(), CLEAN);
  });
}

for (const PROTOCOL of ['https', 'h2']) {
  test(`${PROTOCOL}: a client that stops in the middle of a handshake does not hold the shutdown up`, async (t) => {
    const server = await start(t, { PROTOCOL });
    const { socket, closed } = await bareConnection(t, server);
    // The first byte of a TLS record.
    socket.write('\x16');
    await sleep(200);
    server.kill('SIGTERM');
    await closed.catch(() => {});
    assert.deepEqual(await server.exit(), CLEAN);
  });
}

test('over TLS, a body that stops does not hold the shutdown up, and one that goes on is read', async (t) => {
  const server = await start(t, { PROTOCOL: 'https', BODY_MS: '1000', WAIT_MS: '100' });
  const upload = () => {
    const headers = { 'Content-Length': 8 };
    const options = { host: '127.0.0.1', port: server.port, path: '/upload', method: 'POST', headers, agent: false };
    const sent = https.request({ ...options, rejectUnauthorized: false });
    sent.write('x');
    return sent;
  };
  const stalled = once(upload(), 'response');
  const slow = upload();
  const answer = once(slow, 'response');
  while (server.lines.filter(({ event }) => event === 'slow request').length < 2) await sleep(10);
  server.kill('SIGTERM');
  const stopped = assert.rejects(stalled);
  for (let sent = 1; sent < 8; sent += 1) {
    await sleep(250);
    slow.write('x');
  }
  await stopped;
  const [response] = await answer;
  assert.equal(response.statusCode, 200);
  response.resume();
  assert.deepEqual(await server.exit(), CLEAN);
});

test('a TLS answer that takes longer than the wait is not cut off', async (t) => {
  const server = await start(t, { PROTOCOL: 'https', WAIT_MS: '200' });
  const open = send(server, '/slow?1500', { via: https.request, agent: keptConnection(t, https.Agent) });
  await server.event('slow request');
  server.kill('SIGTERM');
  assert.equal((await open).body, 'slow');
  assert.deepEqual(await server.exit(), CLEAN);
});

function connect(t, { port }, protocol) {
  const scheme = protocol === 'h2' ? 'https' : 'http';
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.after(() => session.destroy());
  session.on('error', () => {});
  return session;
}

/** The status of a GET, once the answer has ended. */
async function stream(session, path) {
  const request = session.request({ ':path': path });
  let status;
  request.on('response', (headers) => (status = headers[':status']));
  request.resume();
  await once(request, 'close');
  assert.ok(status, `no answer, error code ${request.rstCode}`);
  return status;
}
