// Keeps WebSockets open, and counts the codes with which they are closed. A closed one is opened again.
const url = process.env.TARGET;
const clients = Number(process.env.CLIENTS);
const AGAIN_MS = 200;

const codes = {};
let open = 0;
let started = false;
let stopping = false;

function connect() {
  const socket = new WebSocket(url);
  let opened = false;
  socket.onopen = () => {
    opened = true;
    open += 1;
    if (open === clients && !started) {
      started = true;
      console.log(JSON.stringify({ started: true }));
    }
  };
  socket.onclose = ({ code }) => {
    if (stopping) return;
    if (opened) {
      open -= 1;
      if (started) codes[code] = (codes[code] ?? 0) + 1;
    }
    setTimeout(connect, AGAIN_MS);
  };
}
for (let i = 0; i < clients; i += 1) connect();

process.once('SIGTERM', () => {
  stopping = true;
  console.log(JSON.stringify({ codes, open }));
  process.exit(0);
});
