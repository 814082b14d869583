import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { bounded as test } from '../testing/bounded.js';
import { bareConnection, send, start } from '../testing/process.js';

const CLEAN = { code: 0, signal: null };
const HANDSHAKE = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '',
  '',
].join('\r\n');

test('clients get close code 1001 after the wait, and can use the connection until then', async (t) => {
  const server = await start(t, { WEB_SOCKETS: 'registered', WAIT_MS: '800' });
  const client = await connect(t, server);
  server.kill('SIGTERM');
  await server.event('begun');
  client.send('still there?');
  assert.equal(String((await once(client, 'message'))[0]), 'still there?');

  const [code, reason] = await once(client, 'close');
  assert.deepEqual({ code, reason: String(reason) }, { code: 1001, reason: 'server shuts down' });
  assert.deepEqual(await server.exit(), CLEAN);
  assert.ok(!server.lines.some(({ event }) => event === 'web-sockets-destroyed'));
});

test('a client that does not answer the close frame is terminated after the limit', async (t) => {
  const server = await start(t, { WEB_SOCKETS: 'registered', WEB_SOCKET_MS: '500' });
  const { socket, closed, text } = await bareConnection(t, server);
  socket.write(HANDSHAKE);
  while (!text().includes('welcome')) await once(socket, 'data');
  server.kill('SIGTERM');

  await closed.catch(() => {});
  // FIN, opcode close, length, code 1001.
  assert.ok(text().includes('\x88\x13\x03\xe9'), 'a close frame');
  assert.deepEqual(await server.exit(), CLEAN);
  const { ms, terminated } = await server.event('web-sockets-destroyed');
  assert.equal(terminated, 1);
  assert.ok(ms >= 900, `terminated after ${ms} ms`);
});

test('a WebSocket server that is not registered: its clients are cut off after the limit, not before', async (t) => {
  const server = await start(t, { WEB_SOCKETS: 'forgotten', WEB_SOCKET_MS: '600' });
  const client = await connect(t, server);
  server.kill('SIGTERM');
  assert.equal((await once(client, 'close'))[0], 1006);
  assert.deepEqual(await server.exit(), CLEAN);
  const { ms, destroyed } = await server.event('web-sockets-destroyed');
  assert.equal(destroyed, 1);
  assert.ok(ms >= 1000, `destroyed after ${ms} ms`);
});

test('a connection that is upgraded after the limit does not hold the shutdown up', async (t) => {
  const server = await start(t, { WEB_SOCKETS: 'forgotten', WEB_SOCKET_MS: '100' });
  const open = send(server, '/slow?1200');
  const { socket, closed } = await bareConnection(t, server);
  await server.event('slow request');
  socket.write(HANDSHAKE.slice(0, -2));
  server.kill('SIGTERM');
  await server.event('begun');
  // Each byte starts the time of an idle connection again.
  for (let sent = 0; sent < 15; sent += 1) {
    socket.write('X');
    await sleep(50);
  }
  socket.write(': y\r\n\r\n');
  await closed;
  assert.equal((await open).status, 200);
  assert.deepEqual(await server.exit(), CLEAN);
  assert.equal((await server.event('web-sockets-destroyed')).destroyed, 1);
});

test('a server without WebSockets answers a request with an Upgrade header, as without the library', async (t) => {
  const server = await start(t);
  const { socket, text } = await bareConnection(t, server);
  socket.write(HANDSHAKE);
  await once(socket, 'data');
  assert.match(text(), /^HTTP\/1.1 200 OK/);
});

test('requests and WebSockets end side by side', async (t) => {
  const server = await start(t, { WEB_SOCKETS: 'registered' });
  const client = await connect(t, server);
  const open = send(server, '/slow?1000');
  await server.event('slow request');
  server.kill('SIGTERM');
  const ended = [];
  await Promise.all([
    once(client, 'close').then(() => ended.push('web socket')),
    open.then(({ status }) => ended.push(status)),
  ]);
  assert.deepEqual(ended, ['web socket', 200]);
});

async function connect(t, { port }) {
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  t.after(() => client.terminate());
  await once(client, 'message');
  return client;
}
