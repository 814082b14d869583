import assert from 'node:assert/strict';
import { test } from 'node:test';
// The pure part, which the package does not export.
import { readSettings } from '../dist/esm/settings.js';

const VARIABLE = 'WINDDOWN_DEADLINE_SECONDS';
const deadline = (text, times = {}) => readSettings(times, { [VARIABLE]: text });

test('without options and variable, the deadline is 25 s, the wait 1 s and the limit of WebSockets 5 s', () => {
  assert.deepEqual(readSettings({}, {}), {
    waitMs: 1000,
    deadlineMs: 25_000,
    webSocketMs: 5000,
    bodyMs: 5000,
    problems: [],
  });
});

test('the variable is the deadline', () => {
  assert.deepEqual([deadline('40').deadlineMs, deadline('1').deadlineMs], [40_000, 1000]);
  assert.deepEqual(deadline('0'), { waitMs: 0, deadlineMs: 0, webSocketMs: 0, bodyMs: 0, problems: [] });
  assert.equal(deadline('2147483').deadlineMs, 2_147_483_000);
  // The longest timer.
  assert.equal(deadline('2592000').deadlineMs, 2_147_483_647);
});

for (const text of [
  '',
  ' 40',
  '40 ',
  '40s',
  '-1',
  '+40',
  '4e1',
  '0x10',
  '1.5',
  '2592001',
  '99999999',
  'forty',
  '４０',
  'x'.repeat(9999),
]) {
  test(`the variable ${JSON.stringify(text.slice(0, 10))} is a problem, and the default counts`, () => {
    const { deadlineMs, problems } = deadline(text);
    assert.equal(deadlineMs, 25_000);
    assert.equal(problems.length, 1);
    assert.match(problems[0], /^WINDDOWN_DEADLINE_SECONDS is ".*", not a whole number up to 2592000/);
    assert.ok(problems[0].length < 200);
  });
}

test('of option and variable, the shorter one counts', () => {
  assert.deepEqual(
    [deadline('40', { deadlineMs: 10_000 }).deadlineMs, deadline('40', { deadlineMs: 10_000 }).problems],
    [10_000, []],
  );
  const { deadlineMs, problems } = deadline('5', { deadlineMs: 60_000 });
  assert.equal(deadlineMs, 5000);
  assert.deepEqual(problems, ['deadlineMs 60000 is longer than WINDDOWN_DEADLINE_SECONDS: 5000 is used']);
});

test('the wait is at most half of the deadline, the limit of WebSockets half of the rest', () => {
  const given = { waitMs: 9000, webSocketMs: 9000, bodyMs: 9000, deadlineMs: 10_000 };
  const { waitMs, webSocketMs, bodyMs, problems } = readSettings(given, {});
  assert.deepEqual({ waitMs, webSocketMs, bodyMs }, { waitMs: 5000, webSocketMs: 2500, bodyMs: 2500 });
  assert.deepEqual(problems, [
    'waitMs 9000 is longer than half of 10000 ms: 5000 is used',
    'webSocketMs 9000 is longer than half of 5000 ms: 2500 is used',
    'bodyMs 9000 is longer than half of 5000 ms: 2500 is used',
  ]);
});

for (const times of [
  { waitMs: -1 },
  { waitMs: 0.5 },
  { waitMs: Number.NaN },
  { waitMs: '5' },
  { deadlineMs: 0 },
  { webSocketMs: 2 ** 31 },
]) {
  test(`the option ${Object.entries(times)} is refused with its name and its value`, () => {
    const [[name, value]] = Object.entries(times);
    assert.throws(
      () => readSettings(times, {}),
      new RegExp(`^RangeError: ${name} is ${value}: it must be a whole number`),
    );
  });
}
