import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';

const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const GOAWAY = 7;
const END = 1;
const END_HEADERS = 4;

/** An HTTP/2 client of single frames, which sends requests also after GOAWAY, as one does that has not received it yet. */
export async function bareSession(t, { port }, options = {}) {
  const socket = connectTcp({ port, host: '127.0.0.1', ...options });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  const closed = new Promise((resolve, reject) => socket.once('error', reject).once('close', resolve));
  const goaways = [];
  const answered = new Set();
  let changed = deferred();
  let unread = Buffer.alloc(0);

  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(SETTINGS, 0, 0));
  socket.on('data', (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      const length = unread.readUIntBE(0, 3);
      const [type, flags, id] = [unread[3], unread[4], unread.readUInt32BE(5)];
      if (type === SETTINGS && !(flags & END)) socket.write(frame(SETTINGS, END, 0));
      if (type === GOAWAY) goaways.push(unread.readUInt32BE(9));
      if ((type === DATA || type === HEADERS) && flags & END) answered.add(id);
      unread = unread.subarray(9 + length);
    }
    changed.resolve();
    changed = deferred();
  });

  const until = async (condition) => {
    while (!condition())
      await Promise.race([
        changed.promise,
        closed.then(() => {
          if (!condition()) throw new Error('closed');
        }),
      ]);
  };
  return {
    closed,
    goaways,
    answered,
    /** GET with the stream `id`, which must be odd and higher than the last. */
    get: (id, path = '/') => {
      // HPACK: GET and http from the static table, path and authority as literals without index.
      const literal = (index, text) => [index, text.length, ...Buffer.from(text)];
      const block = Buffer.from([0x82, 0x86, ...literal(0x04, path), ...literal(0x01, 'a')]);
      socket.write(frame(HEADERS, END | END_HEADERS, id, block));
    },
    goaway: () => until(() => goaways.length > 0),
    answer: (id) => until(() => answered.has(id)),
  };
}

function frame(type, flags, id, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

function deferred() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
