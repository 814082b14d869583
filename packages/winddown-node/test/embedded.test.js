import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gracefulShutdown } from 'winddown-node';
import { WebSocket, WebSocketServer } from 'ws';
import { bounded as test } from '../testing/bounded.js';
import { embed, listen } from '../testing/embedded.js';
import { bareConnection, keptConnection, send } from '../testing/process.js';

test('exit: false only tells the outcome, and removes its handlers', async () => {
  const before = process.listenerCount('SIGTERM');
  const server = createServer();
  const { shutdown } = embed({
    servers: [server],
    phases: [{ sound() {} }, { broken: () => Promise.reject(new Error('gone')) }],
  });
  await listen(server);
  assert.deepEqual([shutdown.begun, shutdown.health(), process.listenerCount('SIGTERM')], [false, 200, before + 1]);

  process.kill(process.pid, 'SIGTERM');
  const { ms, durations, ...outcome } = await shutdown.finished;
  assert.deepEqual(outcome, {
    reason: 'SIGTERM',
    exitCode: 0,
    deadlinePassed: false,
    failedSteps: [{ phase: 2, step: 'broken', error: 'Error: gone' }],
  });
  assert.ok(ms >= 50 && durations.wait <= ms);
  assert.deepEqual([shutdown.begun, shutdown.health(), server.listening], [true, 503, false]);
  assert.equal(process.listenerCount('SIGTERM'), before);
});

test('exit: false destroys what is open at the deadline, and runs no phase after it', async (t) => {
  let cleaned = false;
  const server = createServer(() => {});
  const { shutdown, lines } = embed({ servers: [server], deadlineMs: 300, phases: [{ clean: () => (cleaned = true) }] });
  const { port } = await listen(server);
  const { socket, closed } = await bareConnection(t, { port });
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(server, 'request');

  const outcome = await shutdown.begin('test');
  assert.deepEqual([outcome.exitCode, outcome.deadlinePassed, outcome.reason], [1, true, 'test']);
  await closed.catch(() => {});
  await sleep(100);
  assert.equal(server.listening, false);
  assert.deepEqual([cleaned, lines.at(-1).event], [false, 'finished']);
});

test('begin() counts once and returns the same outcome', async () => {
  const { shutdown } = embed();
  const outcomes = await Promise.all([shutdown.begin('first', 7), shutdown.begin('second')]);
  assert.equal(outcomes[0], outcomes[1]);
  assert.deepEqual([outcomes[0].reason, outcomes[0].exitCode], ['first', 7]);
});

for (const phase of [() => {}, undefined, null, { client: 'redis' }]) {
  test(`a phase must be an object of functions, not ${inspect(phase)}`, () => {
    const before = process.listenerCount('SIGTERM');
    assert.throws(() => embed({ phases: [{ sound() {} }, phase] }), /^TypeError: phase 2 /);
    assert.equal(process.listenerCount('SIGTERM'), before);
  });
}

test('a second shutdown that exits the process is refused', async () => {
  const first = gracefulShutdown({ log() {} });
  assert.throws(() => gracefulShutdown(), /gracefulShutdown was called before/);
  first.detach();
  const second = gracefulShutdown({ log() {} });
  // It has no effect on the second one.
  first.detach();
  assert.throws(() => gracefulShutdown(), /gracefulShutdown was called before/);
  second.detach();
});

test('both builds together refuse a second shutdown, too', async () => {
  const { createRequire } = await import('node:module');
  const common = createRequire(import.meta.url)('winddown-node');
  assert.notEqual(common.gracefulShutdown, gracefulShutdown);
  const first = gracefulShutdown({ log() {} });
  assert.throws(() => common.gracefulShutdown(), /was called before/);
  first.detach();
});

test('detach() removes every handler', () => {
  const events = ['SIGTERM', 'SIGINT', 'uncaughtException', 'unhandledRejection'];
  const count = () => events.map((event) => process.listenerCount(event));
  const before = count();
  const shutdown = gracefulShutdown({ log() {} });
  assert.deepEqual(
    count(),
    before.map((number) => number + 1),
  );
  shutdown.detach();
  assert.deepEqual(count(), before);
});

test('fatalErrors: false leaves errors to the app', () => {
  const before = process.listenerCount('uncaughtException');
  const shutdown = gracefulShutdown({ fatalErrors: false, log() {} });
  assert.equal(process.listenerCount('uncaughtException'), before);
  shutdown.detach();
});

test('other signals can be chosen', async () => {
  const { shutdown } = embed({ signals: ['SIGHUP'] });
  process.kill(process.pid, 'SIGHUP');
  assert.equal((await shutdown.finished).reason, 'SIGHUP');
});

test('a server that is added before the shutdown is drained, one that is added during it is closed', async (t) => {
  const { shutdown } = embed({ waitMs: 300 });
  const early = shutdown.add(createServer((_request, response) => response.end()));
  const late = createServer((_request, response) => response.end());
  const ports = [await listen(early), await listen(late)];
  const finished = shutdown.begin('test');
  shutdown.add(late);
  for (const port of ports) {
    assert.equal((await send(port, '/', { agent: keptConnection(t) })).headers.connection, 'close');
  }
  await finished;
  assert.deepEqual([early.listening, late.listening], [false, false]);
});

test('a server that is added after the listeners closed is closed before the clean-up', async () => {
  const first = createServer((_request, response) => setTimeout(() => response.end(), 400));
  const late = createServer();
  let lateListens;
  const { shutdown } = embed({ servers: [first], phases: [{ look: () => (lateListens = late.listening) }] });
  const open = send(await listen(first));
  await once(first, 'request');
  const finished = shutdown.begin('test');
  while (first.listening) await sleep(10);
  await listen(late);
  shutdown.add(late);
  await open;
  await finished;
  assert.equal(lateListens, false);
});

for (const when of ['while a request is open', 'during the clean-up']) {
  test(`a server that begins to listen ${when} is closed`, async () => {
    const first = createServer((_request, response) => setTimeout(() => response.end(), 300));
    const late = createServer();
    let finish;
    const step = () => new Promise((done) => (finish = done));
    const { shutdown } = embed({ servers: [first, late], deadlineMs: 10_000, phases: [{ step }] });
    const open = send(await listen(first));
    await once(first, 'request');
    const finished = shutdown.begin('test');
    while (first.listening) await sleep(10);
    while (when === 'during the clean-up' && !finish) await sleep(10);
    await listen(late).catch(() => {});
    await sleep(50);
    assert.equal(late.listening, false);
    await open;
    while (!finish) await sleep(10);
    finish();
    assert.equal((await finished).exitCode, 0);
    await listen(late);
    late.close();
  });
}

test('a server that is added twice is tracked once', async (t) => {
  const server = createServer();
  const { shutdown, lines } = embed({ servers: [server] });
  const before = server.listenerCount('connection');
  assert.equal(shutdown.add(server), server);
  assert.equal(server.listenerCount('connection'), before);
  const address = await listen(server);
  const accepted = once(server, 'connection');
  await bareConnection(t, address);
  await accepted;
  await shutdown.begin('test');
  assert.equal(lines[0].connections, 1);
});

test("connections of a net server are the app's: it ends them with the signal of the shutdown", async () => {
  const sockets = new Set();
  const server = createTcpServer((socket) => sockets.add(socket));
  const { shutdown } = embed({ servers: [server] });
  const client = connect((await listen(server)).port, '127.0.0.1');
  await once(server, 'connection');
  const endAll = () => {
    for (const socket of sockets) socket.end('bye');
  };
  shutdown.signal.addEventListener('abort', () => setTimeout(endAll, 300));
  const received = once(client, 'data');
  const outcome = await shutdown.begin('test');
  assert.equal(String(await received), 'bye');
  assert.ok(outcome.ms >= 300 && !outcome.deadlinePassed);
  client.destroy();
});

test('a WebSocket server with a port of its own is closed, too', async () => {
  const webSockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(webSockets, 'listening');
  const { port } = webSockets.address();
  const { shutdown } = embed({ webSockets: [webSockets] });
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  await once(client, 'open');
  const closed = once(client, 'close');
  await shutdown.begin('test');
  assert.equal((await closed)[0], 1001);
  await assert.rejects(send({ port }), { code: 'ECONNREFUSED' });
});

test('an error of a WebSocket server or client is logged and stops no other', async () => {
  const calls = [];
  const fail = () => {
    throw new Error('broken');
  };
  const broken = { clients: [{ close: fail, terminate: fail }], close: fail };
  const hanging = { close: () => calls.push('sound close'), terminate: () => calls.push('sound terminate') };
  const sound = { clients: [hanging], close: (done) => setTimeout(done, 300) };
  const { shutdown, lines } = embed({
    webSockets: [broken, sound],
    webSocketMs: 100,
    phases: [{ clean: () => calls.push('clean-up') }],
  });
  const outcome = await shutdown.begin('test');
  assert.deepEqual([outcome.exitCode, calls], [0, ['sound close', 'sound terminate', 'clean-up']]);
  const failed = lines.filter(({ event }) => event === 'web-socket-failed');
  assert.deepEqual(
    failed.map(({ error }) => error),
    Array(3).fill('Error: broken'),
  );
});

test('exit: false leaves no timer, also where a WebSocket server never says that it has closed', async (t) => {
  const made = ['setTimeout', 'setInterval'].map((name) => t.mock.method(globalThis, name).mock);
  const { shutdown } = embed({ webSockets: [{ clients: [], close() {} }], deadlineMs: 200 });
  assert.equal((await shutdown.begin('test')).deadlinePassed, true);
  const timers = made.flatMap(({ calls }) => calls.map(({ result }) => result));
  assert.deepEqual(new Set(timers.map(({ _destroyed }) => _destroyed)), new Set([true]));
});

test('exit: false leaves no server in memory', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const ended = async () => {
    const server = createServer();
    await listen(server);
    server.on('close', () => closed.push(server.listening));
    await embed({ servers: [server], waitMs: 0 }).shutdown.begin('test');
    return new WeakRef(server);
  };
  const closed = [];
  const servers = [];
  while (servers.length < 10) servers.push(await ended());
  await sleep(50);
  assert.equal(closed.length, servers.length, 'each server emits close once');
  gc();
  // The last one can still be on the stack.
  assert.ok(servers.filter((server) => server.deref()).length <= 1);
});

for (const [how, log] of Object.entries({
  throws: () => {
    throw new Error('disk full');
  },
  'returns a rejected promise': () => Promise.reject(new Error('disk full')),
})) {
  test(`a log that ${how} does not stop the shutdown`, async () => {
    const { shutdown } = embed({ log });
    assert.equal((await shutdown.begin('test')).exitCode, 0);
  });
}

test('the first process of a PID namespace handles signals, too', async (t) => {
  const run = promisify(execFile);
  const script = `
    import { gracefulShutdown } from 'winddown-node';
    gracefulShutdown({ waitMs: 10 });
    process.kill(process.pid, 'SIGTERM');
    setInterval(() => {}, 1000);
    console.log(JSON.stringify({ pid: process.pid }));`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const cwd = new URL('.', import.meta.url);
  const made = await run('unshare', ['--pid', '--fork', ...node], { cwd }).catch((error) => error);
  if (/unshare/.test(made.stderr ?? '')) return t.skip('this machine permits no PID namespaces');
  const lines = made.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.find((line) => line.pid).pid, 1);
  assert.equal(lines.at(-1).event, 'finished');
  assert.equal(made.code ?? 0, 0);
});
