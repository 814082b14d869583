import { test } from 'node:test';

/** A test that fails after 20 s. */
export function bounded(name, body) {
  test(name, { timeout: 20_000 }, async (t) => {
    // Signals and timeouts alone do not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    t.after(() => clearInterval(alive));
    await body(t);
  });
}
