// Sends requests at once, says when all of them are open, and then how each ended. They go to one pod.
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const target = new URL(process.env.TARGET);
const count = Number(process.env.REQUESTS);
const begin = Date.now(); // ids are used once, also if the script runs again
const SENT_MS = 500; // until all have reached the app

// Resolves to the status, or to the code of the error.
function send(id) {
  return new Promise((resolve) => {
    const body = JSON.stringify({ id });
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const sent = request(target, { method: 'POST', headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
      response.on('error', (error) => resolve(error.code));
    });
    sent.on('error', (error) => resolve(error.code));
    sent.end(body);
  });
}

// The first order of a process takes longer.
for (let attempt = 0; (await send(`warm-up-${begin}-${attempt}`)) !== 201; attempt += 1) await sleep(100);

const ends = Array.from({ length: count }, (_, i) => send(`open-${begin}-${i}`));
await sleep(SENT_MS);
console.log(JSON.stringify({ started: true }));
const counts = {};
for (const end of await Promise.all(ends)) counts[end] = (counts[end] ?? 0) + 1;
console.log(JSON.stringify({ ends: counts }));
