import { test } from 'node:test';

/** A test that fails after 20 s. */
export const bounded = (name, body) => test(name, { timeout: 20_000 }, body);
