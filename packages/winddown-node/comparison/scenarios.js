import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { bareConnection, keptConnection, send, start } from '../testing/process.js';
import { DEADLINE_MS } from './limits.js';

/** After the signal, and before any deadline. */
const SOON_MS = 150;
/** The processes end this much later than their deadline, at most. */
const SLACK_MS = 1500;
const YES = '✓';

/** What a library offers. Without steps, the clean-up is one function of the app, and a failure in it is the app's. */
const OFFERS = { 'winddown-node': { closesWebSockets: true, runsSteps: true }, lightship: { runsSteps: true } };

/** Each runs the app of one library, and returns a tick or what went wrong. */
export const scenarios = {
  'an open request is answered': async (run) => {
    const app = await run();
    const open = outcomeOf(send(app, '/slow?800', { agent: keptConnection(app.t) }));
    await app.event('request /slow');
    app.kill('SIGTERM');
    return (await open).error ?? YES;
  },
  'its response says `Connection: close`': async (run) => {
    const app = await run();
    const open = outcomeOf(send(app, '/slow?800', { agent: keptConnection(app.t) }));
    await app.event('request /slow');
    app.kill('SIGTERM');
    const { error, headers } = await open;
    return error ?? (headers.connection === 'close' ? YES : `says ${headers.connection}`);
  },
  'a new connection is served while load balancers still send some': async (run) => {
    const app = await run();
    const open = outcomeOf(send(app, '/slow?1000'));
    await app.event('request /slow');
    app.kill('SIGTERM');
    await sleep(SOON_MS);
    const { error } = await outcomeOf(send(app, '/new'));
    await open;
    return error ?? YES;
  },
  'the next request on a keep-alive connection is answered': async (run) => {
    const app = await run();
    const { socket, closed, text } = await bareConnection(app.t, app);
    const end = closed.catch(() => {});
    socket.write('GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n');
    while (!text().includes('ok')) await once(socket, 'data');
    app.kill('SIGTERM');
    await sleep(SOON_MS);
    if (socket.destroyed || socket.readableEnded) return 'closed before it';
    socket.write('GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await Promise.race([end, sleep(SOON_MS)]);
    return text().match(/200 OK/g).length === 2 ? YES : 'dropped';
  },
  'a large response to a slow client arrives whole': async (run) => {
    const app = await run();
    const { socket, closed, text } = await bareConnection(app.t, app);
    socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
    socket.pause();
    await app.event('request /large');
    app.kill('SIGTERM');
    await sleep(1000);
    socket.resume();
    await Promise.race([closed.catch(() => {}), sleep(DEADLINE_MS)]);
    return text().length > 32 * 1024 * 1024 ? YES : 'truncated';
  },
  'idle keep-alive connections do not delay the end': async (run) => {
    const app = await run();
    const { socket, closed, text } = await bareConnection(app.t, app);
    closed.catch(() => {});
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    while (!text().includes('ok')) await once(socket, 'data');
    app.kill('SIGTERM');
    return ending(await app.ended(), false);
  },
  'a request that never ends: exit 1 at the deadline': async (run) => {
    const app = await run();
    void outcomeOf(send(app, '/slow?60000'));
    await app.event('request /slow');
    app.kill('SIGTERM');
    return ending(await app.ended(), true);
  },
  'WebSocket clients get close code 1001': async (run, { closesWebSockets }) => {
    const app = await run();
    const client = new WebSocket(`ws://127.0.0.1:${app.port}`);
    app.t.after(() => client.terminate());
    await once(client, 'open');
    const closed = once(client, 'close');
    app.kill('SIGTERM');
    const [[code], end] = await Promise.all([
      Promise.race([closed, sleep(DEADLINE_MS + SLACK_MS, ['none'])]),
      app.ended(),
    ]);
    const offered = closesWebSockets ? '' : 'not offered: ';
    const late = end.late ? ' at the deadline' : '';
    return code === 1001 ? YES : `${offered}${code === 'none' ? 'never closed' : code}${late}`;
  },
  'a second signal changes nothing': async (run) => {
    const app = await run();
    const open = outcomeOf(send(app, '/slow?1000'));
    await app.event('request /slow');
    app.kill('SIGTERM');
    await sleep(SOON_MS);
    app.kill('SIGTERM');
    return (await open).error ?? YES;
  },
  'a failing clean-up step stops no other, exit 0': async (run, { runsSteps }) => {
    if (!runsSteps) return 'not offered';
    const app = await run({ FAILING: '1' });
    app.kill('SIGTERM');
    const { code, signal } = await app.ended();
    const wrong = [
      !app.lines.some(({ event }) => event === 'sound step') && 'stops the other',
      code !== 0 && (signal ? `ended by ${signal}` : `exit ${code}`),
    ].filter(Boolean);
    return wrong.join(', ') || YES;
  },
  'the health check fails during the shutdown': async (run) => {
    const app = await run();
    const { health } = await app.event('listening');
    if (!health) return 'not offered';
    const port = health === 'own port' ? app.port : health;
    const path = health === 'own port' ? '/health' : '/ready';
    const open = outcomeOf(send(app, '/slow?1000'));
    await app.event('request /slow');
    assert.equal((await send({ port }, path)).status, 200);
    app.kill('SIGTERM');
    await sleep(SOON_MS);
    const { error, status } = await outcomeOf(send({ port }, path));
    await open;
    return error ?? (status >= 500 ? YES : `status ${status}`);
  },
  'an uncaught exception exits 1': async (run) => {
    const app = await run();
    void outcomeOf(send(app, '/throw'));
    const { code, signal } = await app.ended();
    return code === 1 ? YES : `ends with ${signal ?? code}`;
  },
};

const outcomeOf = (sent) =>
  sent.catch(({ code, message }) => ({ error: { ECONNREFUSED: 'refused', ECONNRESET: 'dropped' }[code] ?? message }));

function ending({ code, signal, late }, expectedLate) {
  if (signal === 'SIGKILL') return 'never ends';
  const wrong = [
    late && !expectedLate && 'ends at the deadline',
    code !== (expectedLate ? 1 : 0) && (signal ? `ended by ${signal}` : `exit ${code}`),
  ].filter(Boolean);
  return wrong.join(', ') || YES;
}

/** Runs one scenario with the app of one library. */
export async function runScenario(t, scenario, library) {
  const run = async (env) => {
    const app = await start(t, env, new URL(`apps/${library}.js`, import.meta.url));
    const from = performance.now();
    return {
      ...app,
      t,
      /** Killed when it runs much longer than its deadline. */
      ended: async () => {
        const limit = setTimeout(() => app.kill('SIGKILL'), DEADLINE_MS + SLACK_MS);
        const end = await app.exit();
        clearTimeout(limit);
        return { ...end, late: performance.now() - from > DEADLINE_MS - 100 };
      },
    };
  };
  return scenarios[scenario](run, OFFERS[library] ?? {});
}
