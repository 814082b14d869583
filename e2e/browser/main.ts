// The command line: see `check`, which starts it.

import { access } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { start } from './browser.ts';
import { checkFile, type Options } from './views.ts';

const usage = 'usage: e2e/browser/check FILE [--screenshots FOLDER] [--search TEXT --visible N]';

interface Arguments {
  chromium: string;
  file: string;
  options: Options;
}

function read(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      chromium: { type: 'string' },
      screenshots: { type: 'string' },
      search: { type: 'string' },
      visible: { type: 'string' },
    },
  });
  const [file, ...more] = positionals;
  const { chromium, screenshots, search, visible } = values;
  if (!chromium || !file || more.length > 0) throw new Error(usage);
  if (!search !== (visible === undefined)) throw new Error(`--search and --visible need each other; ${usage}`);
  if (visible !== undefined && !/^\d{1,6}$/.test(visible)) throw new Error(`--visible is not a number: ${visible}`);
  return {
    chromium,
    file,
    options: { screenshots, search: search ? { text: search, visible: Number(visible) } : undefined },
  };
}

try {
  const { chromium, file, options } = read();
  await access(file);
  await using browser = await start(chromium);
  const { problems, views, texts, unchecked } = await checkFile(browser, file, options);
  for (const problem of problems) console.log(problem);
  console.error(
    `${file}: ${problems.length} problems in ${views} views, with ${texts} texts and ${unchecked} on images or patterns, not checked`,
  );
  process.exitCode = problems.length > 0 ? 1 : 0;
} catch (error) {
  console.error(`check: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
}
