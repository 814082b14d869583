// A load balancer that sees only health checks: it polls each backend, and sends to those that pass. With a rate of
// 0, it only polls.
import { request } from 'node:http';

const targets = process.env.TARGETS.split(',').map((url) => ({ url: new URL(url), failedChecks: 0 }));
const rate = Number(process.env.RATE);
const pollMs = Number(process.env.POLL_MS);
const UNHEALTHY = 2; // failed checks in a row
const CHECK_TIMEOUT_MS = 5_000;
const ORDER_TIMEOUT_MS = 15_000; // longer than the deadline of the app: a slow answer is not a dropped request
const WARM_UP = 5; // quick answers in a row before anything is counted
const QUICK_MS = 3_000;

const counts = { sent: 0, failed: 0, failures: {}, checks: {} };
const pending = new Set();

// Resolves to the status, or to the code of the error.
function send(url, method, path, timeout, body = '') {
  return new Promise((resolve) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const sent = request(new URL(path, url), { method, headers, agent: false, timeout }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
      response.on('error', (error) => resolve(error.code));
    });
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('error', (error) => resolve(error.code ?? error.message));
    sent.end(body);
  });
}

const order = (url, id) => send(url, 'POST', url.pathname, ORDER_TIMEOUT_MS, JSON.stringify({ id }));

// The first orders take longer, also where the servers have just started.
for (const [i, target] of rate > 0 ? targets.entries() : []) {
  for (let answers = 0, attempt = 0; answers < WARM_UP; attempt += 1) {
    const begin = performance.now();
    const status = await order(target.url, `warm-up-${i}-${attempt}`);
    answers = status < 300 && performance.now() - begin < QUICK_MS ? answers + 1 : 0;
  }
}

setInterval(() => {
  for (const target of targets) {
    send(target.url, 'GET', '/health', CHECK_TIMEOUT_MS).then((status) => {
      target.failedChecks = status === 200 ? 0 : target.failedChecks + 1;
      counts.checks[status] = (counts.checks[status] ?? 0) + 1;
    });
  }
}, pollMs);

let next = 0;
const begin = performance.now();
const timer = setInterval(() => {
  for (const due = ((performance.now() - begin) / 1000) * rate; counts.sent < due; ) {
    const healthy = targets.filter(({ failedChecks }) => failedChecks < UNHEALTHY);
    const target = healthy[next++ % healthy.length];
    counts.sent += 1;
    const sent = target ? order(target.url, `balanced-${counts.sent}`) : Promise.resolve('no healthy backend');
    pending.add(sent);
    sent.then((status) => {
      pending.delete(sent);
      if (status >= 200 && status < 300) return;
      counts.failed += 1;
      counts.failures[status] = (counts.failures[status] ?? 0) + 1;
    });
  }
}, 10);
console.log(JSON.stringify({ started: true }));

process.once('SIGTERM', async () => {
  clearInterval(timer);
  counts.actualRate = counts.sent / ((performance.now() - begin) / 1000);
  await Promise.all(pending);
  console.log(JSON.stringify(counts));
  process.exit(0);
});
