// Opens a connection, sends the head of a request whose body never comes, and waits.
import { connect } from 'node:net';

const target = new URL(process.env.TARGET);
const socket = connect(Number(target.port || 80), target.hostname, () => {
  socket.write(
    `POST ${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  console.log(JSON.stringify({ started: true }));
});
const begin = Date.now();
let error;
socket.resume(); // without a reader, the end of the connection is not seen
socket.on('error', ({ code }) => {
  error = code;
});
socket.on('close', () => console.log(JSON.stringify({ closedAfterMs: Date.now() - begin, error })));
setInterval(() => {}, 1000);
process.once('SIGTERM', () => {
  console.log(JSON.stringify({ stopped: true }));
  process.exit(0);
});
