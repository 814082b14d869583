import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// A real server process on a free loopback port, killed when the test `t` ends.
export async function start(t, env = {}, script = 'server.js') {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, PORT: '0', WORK_MS: '10', SHUTDOWN_WAIT_MS: '400', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));

  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const lines = [];
  const reader = createInterface(child.stdout);
  reader.on('line', (line) => lines.push(JSON.parse(line)));
  const drained = once(reader, 'close');

  const find = (phase) => lines.find((line) => line.phase.startsWith(phase));
  const phase = async (name) => {
    while (!find(name)) await Promise.race([once(reader, 'line'), drained.then(() => assertFound(find, name, lines))]);
    return find(name);
  };

  const { port } = await phase('listening');
  return {
    port,
    lines,
    phase,
    kill: (signal) => child.kill(signal),
    exit: async () => {
      const exit = await exited;
      await drained;
      return exit;
    },
  };
}

function assertFound(find, name, lines) {
  if (!find(name)) throw new Error(`the process ended without phase ${name}: ${JSON.stringify(lines)}`);
}

// One request, never retried: its status, headers and body, or the error it ended with.
export function send({ port }, path = '/', { agent = new Agent({ keepAlive: false }), method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent }, async (response) => {
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

export function keptConnection(t) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return agent;
}

// A bare connection, and a promise of the moment the server closes it.
export async function bareConnection(t, { port }) {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.resume();
  await once(socket, 'connect');
  const closed = new Promise((resolve, reject) => socket.once('error', reject).once('close', resolve));
  return { socket, closed };
}
