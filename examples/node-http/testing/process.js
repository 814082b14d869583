import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The real server on a free loopback port, killed when the test `t` ends. */
export async function start(t, env = {}) {
  const path = fileURLToPath(new URL('../server.js', import.meta.url));
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

  const find = (event) => lines.find((line) => line.event === event);
  const event = async (name) => {
    const mustBeThere = () => {
      if (!find(name)) throw new Error(`the process ended without event ${name}: ${JSON.stringify(lines)}`);
    };
    while (!find(name)) await Promise.race([once(reader, 'line'), drained.then(mustBeThere)]);
    return find(name);
  };

  const { port } = await event('listening');
  return { port, event, kill: (signal) => child.kill(signal), exit: () => exited };
}

/** One request, never retried: its status, headers and body, or the error it ended with. */
export function send({ port }, path = '/', { agent = false, method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent }, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
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
