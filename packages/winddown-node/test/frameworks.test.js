import assert from 'node:assert/strict';
import { bounded as test } from '../testing/bounded.js';
import { keptConnection, send, start } from '../testing/process.js';

for (const framework of ['express', 'fastify', 'koa', 'http']) {
  test(`${framework}: health is 503, open requests finish with Connection: close, the clean-up runs`, async (t) => {
    const server = await start(t, {}, `frameworks/${framework}.js`);
    const healthy = await send(server, '/health');
    assert.deepEqual([healthy.status, JSON.parse(healthy.body)], [200, { status: 'ok' }]);

    const kept = () => ({ agent: keptConnection(t) });
    const open = send(server, '/slow', kept());
    const failing = send(server, '/fails', kept());
    await server.event('slow request');
    server.kill('SIGTERM');
    await server.event('begun');
    const unhealthy = await send(server, '/health', kept());
    const late = send(server, '/slow', kept());

    assert.deepEqual([unhealthy.status, JSON.parse(unhealthy.body)], [503, { status: 'shutting down' }]);
    for (const [answer, status] of [
      [unhealthy, 503],
      [await open, 200],
      [await failing, 500],
      [await late, 200],
    ]) {
      assert.deepEqual([answer.status, answer.headers.connection], [status, 'close']);
    }
    assert.deepEqual(JSON.parse((await open).body), { begun: true });
    assert.deepEqual(await server.exit(), { code: 0, signal: null });

    const events = server.lines.map(({ event }) => event);
    assert.ok(events.indexOf('connections-closed') < events.indexOf('database closed'), events.join());
    if (framework === 'fastify') {
      assert.ok(events.indexOf('connections-closed') < events.indexOf('onClose hook'), events.join());
      assert.ok(events.indexOf('database closed') < events.indexOf('onClose hook'), events.join());
    }
  });
}

test('fastify: an app that is closed without a shutdown leaves no handlers, so a test can make the next one', async () => {
  const { default: Fastify } = await import('fastify');
  const { winddown } = await import('winddown-node/fastify');
  const before = process.listenerCount('SIGTERM');
  for (let round = 0; round < 2; round += 1) {
    const app = Fastify();
    await app.register(winddown, { log() {} });
    assert.equal((await app.inject('/health')).statusCode, 200);
    await app.close();
    assert.equal(process.listenerCount('SIGTERM'), before);
  }
});
