// Connections of HTTP/1.1 that clients and handlers use in unusual ways.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { bounded as test } from '../testing/bounded.js';
import { embed, listen } from '../testing/embedded.js';
import { bareConnection, keptConnection, send, start } from '../testing/process.js';

const CLEAN = { code: 0, signal: null };

for (const [how, answer] of Object.entries({
  'setHeader()': (response) => response.setHeader('connection', 'keep-alive').end(),
  'removeHeader()': (response) => response.removeHeader('Connection') ?? response.end(),
  'writeHead() with an object': (response) => response.writeHead(200, 'OK', { Connection: 'keep-alive', A: 'b' }).end(),
  'writeHead() with an array': (response) => response.writeHead(200, ['connection', 'keep-alive', 'A', 'b']).end(),
  'writeHead() with pairs': (response) =>
    response
      .writeHead(200, [
        ['Connection', 'keep-alive'],
        ['A', 'b'],
      ])
      .end(),
  'setHeader() and writeHead()': (response) => response.setHeader('A', 'b').writeHead(200, { connection: 'x' }).end(),
})) {
  test(`an answer says close whatever its handler does with ${how}`, async (t) => {
    const server = createServer(async (_request, response) => {
      await sleep(100);
      answer(response);
    });
    const { shutdown } = embed({ servers: [server], waitMs: 500, deadlineMs: 10_000 });
    const address = await listen(server);
    const open = send(address, '/', { agent: keptConnection(t) });
    await once(server, 'request');
    const finished = shutdown.begin('test');
    for (const { headers } of [await open, await send(address, '/', { agent: keptConnection(t) })]) {
      assert.equal(headers.connection, 'close');
      if (/with|and/.test(how)) assert.equal(headers.a, 'b');
    }
    assert.equal((await finished).exitCode, 0);
  });
}

test('headers that a proxy copies stay as they are, apart from Connection', async (t) => {
  const raw = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'keep-alive'];
  const server = createServer((_request, response) => response.writeHead(200, raw).end());
  const { shutdown } = embed({ servers: [server], waitMs: 500, deadlineMs: 10_000 });
  const address = await listen(server);
  void shutdown.begin('test');
  const { headers } = await send(address, '/', { agent: keptConnection(t) });
  assert.deepEqual([headers['set-cookie'], headers.connection], [['a=1', 'b=2'], 'close']);
});

test('a wrapper of writeHead() gets headers in the form that the handler uses', async (t) => {
  const forms = [];
  const server = createServer(async (request, response) => {
    const { writeHead } = response;
    response.writeHead = (status, headers) => {
      forms.push(headers);
      return writeHead.call(response, status, headers);
    };
    if (!shutdown.begun) await once(shutdown.signal, 'abort');
    const list = ['A', 'b', 'connection', 'keep-alive'];
    response.writeHead(200, { '/object': { A: 'b', connection: 'keep-alive' }, '/list': list }[request.url]).end();
  });
  const { shutdown } = embed({ servers: [server], waitMs: 500, deadlineMs: 10_000 });
  const address = await listen(server);
  const object = send(address, '/object', { agent: keptConnection(t) });
  await once(server, 'request');
  const list = send(address, '/list', { agent: keptConnection(t) });
  await once(server, 'request');
  void shutdown.begin('test');
  for (const answer of [object, list]) assert.equal((await answer).headers.connection, 'close');
  assert.deepEqual(forms, [{ A: 'b', Connection: 'close' }, ['A', 'b', 'Connection', 'close']]);
});

test('a client that sends a part of a body and stops does not hold the shutdown up', async (t) => {
  const server = await start(t, { BODY_MS: '600', STEPS: 'ordered' });
  const { socket, closed } = await bareConnection(t, server);
  socket.write('POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n0123456789');
  await server.event('slow request');
  server.kill('SIGTERM');
  await closed;
  assert.deepEqual(await server.exit(), CLEAN);
  assert.ok((await server.event('connections-closed')).ms >= 600);
  await server.event('jobs closed');
});

test('an upload that is slower than the limit but goes on is not cut off', async (t) => {
  const server = await start(t, { BODY_MS: '1000', WAIT_MS: '100' });
  const { socket, text, closed } = await bareConnection(t, server);
  socket.write('POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n');
  await server.event('slow request');
  server.kill('SIGTERM');
  for (let sent = 0; sent < 8; sent += 1) {
    await sleep(250);
    socket.write('x');
  }
  await closed;
  assert.match(text(), /received 8/);
  assert.deepEqual(await server.exit(), CLEAN);
});

test('a request whose handler does not read the body yet is not cut off', async (t) => {
  const server = await start(t, { BODY_MS: '200', WAIT_MS: '100' });
  const body = 'x'.repeat(1024 * 1024);
  const open = send(server, '/upload?1500', { method: 'POST', body });
  await server.event('slow request');
  server.kill('SIGTERM');
  assert.equal((await open).body, `received ${body.length}`);
  assert.deepEqual(await server.exit(), CLEAN);
});

test('pipelined requests are all answered, also those that arrive during the wait', async (t) => {
  const server = createServer(async ({ url }, response) => {
    await sleep(200);
    response.end(`answer ${url}`);
  });
  const { shutdown, lines } = embed({ servers: [server], waitMs: 1000, deadlineMs: 10_000 });
  const address = await listen(server);
  const pipelined = ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join('');
  const early = await bareConnection(t, address);
  early.socket.write(pipelined);
  await once(server, 'request');
  const finished = shutdown.begin('test');
  const late = await bareConnection(t, address);
  late.socket.write(pipelined);

  for (const { closed, text } of [early, late]) {
    await closed;
    assert.deepEqual(text().match(/answer \/\d/g), ['answer /1', 'answer /2', 'answer /3']);
    assert.equal(text().match(/Connection: close/g).length, 1);
  }
  assert.equal((await finished).exitCode, 0);
  assert.equal(lines[0].openRequests, 3);
});

test('a request is answered also if a later one on its connection stops in the middle of its body', async (t) => {
  const server = createServer(({ url }, response) => {
    if (url === '/first') setTimeout(() => response.end('first answer'), 1000);
  });
  const { shutdown } = embed({ servers: [server], bodyMs: 200, deadlineMs: 10_000 });
  const { socket, text, closed } = await bareConnection(t, await listen(server));
  socket.write('GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(server, 'request');
  socket.write('POST /later HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc');
  const [later] = await once(server, 'request');
  later.resume();
  const { deadlinePassed } = await shutdown.begin('test');
  await closed.catch(() => {});
  assert.match(text(), /first answer/);
  assert.equal(deadlinePassed, false);
});

test('a client that waits for 100 Continue is not cut off', async () => {
  const server = createServer().on('checkContinue', async (request, response) => {
    await sleep(800);
    response.writeContinue();
    request.resume().on('end', () => response.end('stored'));
  });
  const { shutdown } = embed({ servers: [server], bodyMs: 200, deadlineMs: 10_000 });
  const { port } = await listen(server);
  const headers = { Expect: '100-continue', 'Content-Length': 3 };
  const sent = request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false });
  sent.on('continue', () => sent.end('abc')).flushHeaders();
  await once(server, 'checkContinue');
  void shutdown.begin('test');
  const [response] = await once(sent, 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
  assert.equal((await shutdown.finished).exitCode, 0);
});

test('requests of a pipelining client that has gone do not count as open', async (t) => {
  const server = createServer(() => {});
  const { shutdown, lines } = embed({ servers: [server] });
  const address = await listen(server);
  const accepted = once(server, 'connection');
  const { socket } = await bareConnection(t, address);
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3));
  await once(server, 'request');
  socket.destroy();
  await once((await accepted)[0], 'close');
  await shutdown.begin('test');
  assert.equal(lines[0].openRequests, 0);
});

for (const [event, expect] of [
  ['checkContinue', '100-continue'],
  ['checkExpectation', 'something'],
]) {
  test(`a request that a handler of ${event} answers is open, too`, async () => {
    const server = createServer().on(event, async (_request, response) => {
      response.writeContinue();
      await sleep(400);
      response.end('answered');
    });
    const { shutdown } = embed({ servers: [server] });
    const { port } = await listen(server);
    const sent = request({ port, host: '127.0.0.1', method: 'POST', headers: { Expect: expect }, agent: false });
    sent.end('x');
    await once(server, event);
    const finished = shutdown.begin('test');
    const [response] = await once(sent, 'response');
    assert.deepEqual([response.statusCode, response.headers.connection], [200, 'close']);
    response.resume();
    assert.equal((await finished).exitCode, 0);
  });
}
