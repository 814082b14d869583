import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A real process on a free loopback port, killed when the test `t` ends. Its lines on stdout are JSON. */
export async function start(t, env = {}, script = 'app.js') {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, WAIT_MS: '400', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));

  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const lines = [];
  const reader = createInterface(child.stdout);
  reader.on('line', (line) => lines.push(JSON.parse(line)));
  const drained = once(reader, 'close');

  const find = (event) => lines.find((line) => line.event === event);
  const event = async (name) => {
    const mustBeThere = () => {
      if (!find(name)) throw new Error(`the process ended without event ${name}: ${JSON.stringify(lines)}`);
    };
    while (!find(name)) await Promise.race([once(reader, 'line'), drained.then(mustBeThere)]);
    return find(name);
  };

  const { port } = await event('listening');
  return {
    port,
    lines,
    event,
    kill: (signal) => child.kill(signal),
    /** What the process writes from now on fails. */
    closeOutput: () => {
      reader.close();
      child.stdout.destroy();
    },
    exit: async () => {
      const exit = await exited;
      await drained;
      return exit;
    },
  };
}

/** One request, never retried: its status, headers and body, or the error it ended with. */
export function send({ port }, path = '/', { agent = false, method = 'GET', body, via = request } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, agent, rejectUnauthorized: false };
    const sent = via(options, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('latin1')) text += chunk;
        resolve({ status: response.statusCode, headers: response.headers, body: text });
      } catch (error) {
        reject(error);
      }
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

export function keptConnection(t, AgentClass = Agent) {
  const agent = new AgentClass({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return agent;
}

/** A bare connection, and a promise of the moment the server closes it. */
export async function bareConnection(t, { port }, options = {}) {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  t.after(() => socket.destroy());
  const received = [];
  socket.on('data', (chunk) => received.push(chunk));
  await once(socket, 'connect');
  const closed = new Promise((resolve, reject) => socket.once('error', reject).once('close', resolve));
  return { socket, closed, text: () => Buffer.concat(received).toString('latin1') };
}
