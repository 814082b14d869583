// Runs every scenario with every library, and compares the result with the table in the README (UPDATE=1 writes it).
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { runScenario, scenarios } from './scenarios.js';

const LIBRARIES = ['winddown-node', 'terminus', 'lightship', 'http-terminator', 'close-with-grace', 'stoppable'];
const README = new URL('../README.md', import.meta.url);
const [BEGIN, END] = ['<!-- comparison -->\n', '<!-- end of comparison -->\n'];
/** Processes at the same time. */
const TOGETHER = 4;
/** How often another library's result that is not in the README is tried again: on a busy machine, requests can come late. */
const RETRIES = 2;

test('the table in the README is what the libraries do', { timeout: 300_000 }, async (t) => {
  const cells = Object.keys(scenarios).flatMap((scenario) => LIBRARIES.map((library) => ({ scenario, library })));
  const readme = await readFile(README, 'utf8');
  const [head, rest] = readme.split(BEGIN);
  const [before, tail] = rest.split(END);
  const rows = before.split('\n').map((line) => line.split('|').map((text) => text.trim()));
  const written = ({ scenario, library }) => rows.find(([, name]) => name === scenario)?.[LIBRARIES.indexOf(library) + 2];
  const waiting = cells.values();
  await Promise.all(
    Array.from({ length: TOGETHER }, async () => {
      for (const cell of waiting) {
        const retries = cell.library === 'winddown-node' ? 0 : RETRIES;
        for (let tries = 0; tries <= retries && cell.text !== written(cell); tries += 1) {
          const failed = ({ message }) => `failed: ${message.split('\n')[0]}`;
          cell.text = await runScenario(t, cell.scenario, cell.library).catch(failed);
          if (process.env.UPDATE) break;
        }
      }
    }),
  );
  for (const { scenario, library, text } of cells) {
    if (library === 'winddown-node') assert.equal(text, '✓', `${library}: ${scenario}`);
  }

  const row = (texts) => `| ${texts.join(' | ')} |\n`.replace('|  |', '| |');
  const table = [
    row(['', ...LIBRARIES]),
    row(['---', ...LIBRARIES.map(() => '---')]),
    ...Object.keys(scenarios).map((name) =>
      row([name, ...cells.filter(({ scenario }) => scenario === name).map(({ text }) => text)]),
    ),
  ].join('');
  if (process.env.UPDATE) await writeFile(README, head + BEGIN + table + END + tail);
  else assert.equal(before, table, 'write it with: npm run update');
});
