import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { send, start } from '../../../packages/winddown-node/testing/process.js';

const script = new URL('../server.js', import.meta.url);

for (const [MISTAKE, exit] of [
  ['exit-at-once', { code: 0, signal: null }],
  ['no-handler', { code: null, signal: 'SIGTERM' }],
]) {
  test(`control: MISTAKE=${MISTAKE} drops the open request`, { timeout: 20_000 }, async (t) => {
    const server = await start(t, { PORT: '0', WORK_MS: '2000', MISTAKE }, script);
    const dropped = assert.rejects(send(server), { code: 'ECONNRESET' });
    await sleep(200);
    server.kill('SIGTERM');

    await dropped;
    assert.deepEqual(await server.exit(), exit);
  });
}
