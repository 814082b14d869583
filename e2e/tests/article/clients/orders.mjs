// Sends POST requests at a constant rate, half over new connections and half over kept ones, and counts each of them.
// Every request has an id of its own in the body. Nothing is sent twice: http.request never retries.
import { lookup } from 'node:dns/promises';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const target = new URL(process.env.TARGET);
const rate = Number(process.env.RATE); // requests per second, for each kind of connection
// Longer than the deadline of the app, after which an open request is reset: a slow answer is not a dropped request.
const TIMEOUT_MS = 15_000;
// With so many, a connection is used again after at most 2.4 s, of which an order takes 1.5 s.
const MAX_KEPT = Math.min(20, Math.floor(2.4 * rate));
const MAX_FAILURES = 10; // that are described
const WARM_UP = 3; // quick answers in a row before anything is counted
const QUICK_MS = 3_000;

// Looked up once: the address of a Service does not change, and DNS is not part of the measurement.
const { address } = await lookup(target.hostname).catch(() => sleep(1_000).then(() => lookup(target.hostname)));

const kinds = {
  new: { agent: new Agent({ keepAlive: false, maxSockets: Infinity }) },
  // First in, first out, and a bound: each connection is used again within the wait of the app. A server may close one that
  // is idle for longer while the next request is on its way, which HTTP/1.1 cannot prevent.
  kept: { agent: new Agent({ keepAlive: true, maxSockets: MAX_KEPT, scheduling: 'fifo' }) },
};
for (const kind of Object.values(kinds)) Object.assign(kind, { sent: 0, failed: 0, failures: {}, saidClose: 0 });

// Resolves to how the request failed, or to undefined.
function send({ agent }, id, seen = () => {}) {
  return new Promise((resolve) => {
    const body = JSON.stringify({ id });
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), Host: target.host };
    const { port, pathname: path } = target;
    const sent = request({ host: address, port: port || 80, path, method: 'POST', headers, agent }, (response) => {
      seen(response);
      response.resume();
      const { statusCode } = response;
      response.on('end', () => end(statusCode < 300 ? undefined : statusCode >= 500 ? 'serverError' : 'otherStatus'));
      response.on('error', (error) => end(kindOf(error)));
    });
    // From when it has a connection: until then it was not sent.
    let timer;
    sent.on('socket', () => {
      timer = setTimeout(() => {
        end('timeout');
        sent.destroy();
      }, TIMEOUT_MS);
    });
    sent.on('error', (error) => end(kindOf(error)));
    sent.end(body);
    function end(failure) {
      clearTimeout(timer);
      resolve(failure);
    }
  });
}

function kindOf(error) {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'unreachable';
    case 'ETIMEDOUT':
      return 'timeout';
    default:
      return 'other';
  }
}

// A new Service refuses connections until every node knows it, and the first orders take longer.
for (let answers = 0, attempt = 0; answers < WARM_UP; attempt += 1) {
  const both = Object.entries(kinds).map(([name, kind]) => send(kind, `warm-up-${name}-${attempt}`));
  const begin = performance.now();
  const failures = await Promise.all(both);
  const quick = performance.now() - begin < QUICK_MS;
  answers = quick && failures.every((failure) => failure === undefined) ? answers + 1 : 0;
  await sleep(50);
}

const begin = performance.now();
const pending = new Set();
const unacknowledged = [];
const firstFailures = [];
let ticks = 0;
const timer = setInterval(() => {
  // As many as are due: a late timer does not lower the rate.
  for (const due = ((performance.now() - begin) / 1000) * rate; ticks < due; ticks += 1) {
    for (const [name, kind] of Object.entries(kinds)) {
      const id = `${name}-${ticks}`;
      kind.sent += 1;
      const closes = ({ headers }) => {
        if (headers.connection === 'close') kind.saidClose += 1;
      };
      const sent = send(kind, id, closes).then((failure) => {
        if (!failure) return;
        kind.failed += 1;
        kind.failures[failure] = (kind.failures[failure] ?? 0) + 1;
        unacknowledged.push(id);
        if (firstFailures.length < MAX_FAILURES) {
          firstFailures.push({ id, failure, time: new Date().toISOString() });
        }
      });
      pending.add(sent);
      sent.then(() => pending.delete(sent));
    }
  }
}, 10);
console.log(JSON.stringify({ started: true }));

process.once('SIGTERM', async () => {
  clearInterval(timer);
  const actualRate = ticks / ((performance.now() - begin) / 1000);
  await Promise.all(pending);
  const counts = ({ agent, ...rest }) => rest;
  const [sentNew, sentKept] = [kinds.new, kinds.kept].map(counts);
  console.log(JSON.stringify({ new: sentNew, kept: sentKept, actualRate, unacknowledged, firstFailures }));
  process.exit(0);
});
