import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';

interface Target {
  port: number;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** One request, never retried; rejects if it gets no whole answer. */
export function send(
  { port }: Target,
  {
    path = '/health',
    method = 'GET',
    agent = new Agent(),
    body,
  }: {
    path?: string;
    method?: string;
    agent?: Agent;
    body?: string;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'Content-Type': 'application/json' } : {};
    const sent = request({ host: '127.0.0.1', port, path, method, agent, headers }, async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      } catch (error) {
        reject(error);
      }
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

export function order(target: Target, id: string, agent = new Agent()): Promise<Answer> {
  return send(target, { path: '/orders', method: 'POST', body: JSON.stringify({ id }), agent });
}

export function keptConnection(t: TestContext): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return agent;
}

/** The beginning of a request: half of its headers, or half of its body. */
const HALF_REQUESTS = {
  headers: 'GET /health HTTP/1.1\r\nHost: ',
  body: 'POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"id":',
};

/** A kept connection that had one answer, and then sends half of its next request and nothing more. */
export async function silentClient(
  t: TestContext,
  { port }: Target,
  half: keyof typeof HALF_REQUESTS = 'headers',
): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  socket.resume();
  socket.write(HALF_REQUESTS[half]);
  return socket;
}

/** A WebSocket client: what it received, and the code with which it was closed. */
export async function webSocketClient(t: TestContext, { port }: Target) {
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  t.after(() => client.terminate());
  client.on('error', () => {});
  const messages: unknown[] = [];
  client.on('message', (data) => messages.push(JSON.parse(String(data))));
  const closed = once(client, 'close').then(([code]) => Number(code));
  await once(client, 'open');
  return { messages, closed };
}
