import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'puppeteer-core';
import { start } from '../browser.ts';
import { checkFile, type Options } from '../views.ts';

const GOOD = fileURLToPath(new URL('pages/good.html', import.meta.url));
const SCREENS = ['400-light', '400-dark', '1600-light', '1600-dark'];
const SCRIPTED = [...SCREENS, '718-print'];
const ALL = [...SCRIPTED, 'without-javascript'];

let browser: Browser;
let folder: string;
before(async () => {
  browser = await start(process.env['CHROMIUM'] ?? '');
  folder = await mkdtemp(join(tmpdir(), 'browser-'));
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The problems of the good page with this after its last element, or with `replaced` instead of `part`. */
let pages = 0;
async function problems(
  more: string,
  options: Options = {},
  part = '</body>',
  place = `${more}</body>`,
): Promise<string[]> {
  const good = await readFile(GOOD, 'utf8');
  assert.ok(good.includes(part), part);
  pages += 1;
  const file = join(folder, `${pages}.html`);
  await writeFile(
    file,
    good.replace(part, () => place),
  );
  return (await checkFile(browser, file, options)).problems;
}
const replaced = (part: string, place: string, options?: Options) => problems('', options, part, place);
const inViews = (views: string[], problem: string) => views.map((view) => `${view}: ${problem}`);

test('a good page has no problems, and its texts are checked in every view', async () => {
  const result = await checkFile(browser, GOOD);
  assert.deepEqual(result.problems, []);
  assert.equal(result.views, ALL.length);
  assert.ok(result.texts >= 5 * ALL.length, `${result.texts} texts`);
  assert.equal(result.unchecked, 0);
});

test('what is closed is opened and checked on screens', async () => {
  const faint = '<p style="color: #777777; background: #ffffff">Inside</p>';
  assert.deepEqual(
    await replaced('<p>Inside</p>', faint),
    inViews(SCREENS, "contrast of 4.48:1, #777777 on #ffffff: <p> 'Inside'"),
  );
});

test('details that the button does not open are reported, and a page without the button', async () => {
  assert.deepEqual(
    await replaced('details.open = true', 'details.open = false'),
    inViews(SCREENS, 'button#open leaves 1 details closed'),
  );
  const elsewhere = '<span id="open"></span><button type="button">Open all</button>';
  assert.deepEqual(
    await replaced('<button id="open" type="button">Open all</button>', elsewhere),
    inViews(SCREENS, 'there is no button#open'),
  );
});

test('a namespace that hides too little, or its own workloads, is reported', async () => {
  const condition = 'Boolean(target.value) && item.dataset.namespace !== target.value';
  const expected = SCREENS.flatMap((view) => [
    `${view}: the namespace web leaves 3 workloads visible instead of 2`,
    `${view}: the namespace web leaves 1 workloads of others visible`,
  ]);
  assert.deepEqual(await replaced(condition, 'false'), expected);
  assert.deepEqual(
    await replaced(condition, 'Boolean(target.value)'),
    inViews(SCREENS, 'the namespace web leaves 0 workloads visible instead of 2'),
  );
});

test('errors and warnings in the console are reported', async () => {
  const script = '<script>console.log("a note"); console.error("it failed"); console.warn("it is old")</script>';
  const expected = SCRIPTED.flatMap((view) => [
    `${view}: console error: it failed`,
    `${view}: console warning: it is old`,
  ]);
  assert.deepEqual(await problems(script), expected);
});

test('exceptions are reported, also of callbacks and promises', async () => {
  const later = 'setTimeout(() => { throw new Error("no such column") }, 50)';
  const script = `${later}; Promise.reject(new Error("no such cell")); throw new Error("no such row")`;
  const expected = SCRIPTED.flatMap((view) =>
    ['row', 'cell', 'column'].map((what) => `${view}: exception: no such ${what}`),
  );
  assert.deepEqual((await problems(`<script>${script}</script>`)).sort(), expected.sort());
});

test('a dialog is reported, and closed', async () => {
  assert.deepEqual(await problems('<script>alert("look")</script>'), inViews(SCRIPTED, 'dialog: look'));
});

/** Without the policy of the page, which would forbid it. */
function withoutPolicy(more: string): Promise<string[]> {
  return replaced('<meta http-equiv', `${more}<meta name`);
}

test('every request to somewhere else is reported', async () => {
  const requests: Record<string, [string, string[]]> = {
    'https://winddown.invalid/a.png': ['<img alt="" src="https://winddown.invalid/a.png">', ALL],
    'https://winddown.invalid/a.css': ['<link rel="stylesheet" href="https://winddown.invalid/a.css">', ALL],
    'https://winddown.invalid/a.js': ['<script src="https://winddown.invalid/a.js"></script>', SCRIPTED],
    'https://winddown.invalid/a': ['<script>fetch("https://winddown.invalid/a").catch(() => {})</script>', SCRIPTED],
    'https://winddown.invalid/b': ['<script>navigator.sendBeacon("https://winddown.invalid/b")</script>', SCRIPTED],
    'wss://winddown.invalid/c': ['<script>new WebSocket("wss://winddown.invalid/c")</script>', SCRIPTED],
    'https://winddown.invalid/d': ['<iframe src="https://winddown.invalid/d"></iframe>', ALL],
    'preconnect https://winddown.invalid': ['<link rel="preconnect" href="https://winddown.invalid">', ALL],
  };
  const found = await withoutPolicy(
    Object.values(requests)
      .map(([element]) => element)
      .join(''),
  );
  for (const [url, [, views]] of Object.entries(requests)) {
    const reported = found.filter((problem) => problem.endsWith(`: request: ${url}`));
    assert.deepEqual(reported, inViews(views, `request: ${url}`));
  }
});

test('a request to another file is reported', async () => {
  const found = await withoutPolicy('<link rel="stylesheet" href="style.css">');
  assert.equal(found.filter((problem) => /: request: file:.*style\.css$/.test(problem)).length, ALL.length, `${found}`);
});

test('a violation of the policy of the page is reported', async () => {
  const found = await problems('<img alt="" src="https://winddown.invalid/a.png">');
  assert.equal(
    found.filter((problem) => /console error: .*Content Security Policy/.test(problem)).length,
    ALL.length,
    `${found}`,
  );
});

test('a page that is wider than the window is reported with the element', async () => {
  const wide = await problems('<div id="table" class="big" style="width: 700px">-</div>');
  assert.equal(wide.length, 2);
  for (const view of ['400-light', '400-dark']) {
    assert.match(
      wide.join('\n'),
      new RegExp(`${view}: the page is 7\\d\\d pixels wide in a window of 400: <div#table\\.big>`),
    );
  }
});

test('text that the page cuts off is reported, and text that an element cuts off is not', async () => {
  const long = `<div style="white-space: nowrap">${'words '.repeat(100)}</div>`;
  const cut = await problems(`<style>html, body { overflow-x: hidden }</style>${long}`);
  assert.equal(
    cut.filter((problem) => /text beyond the right edge: <div> 'words words/.test(problem)).length,
    ALL.length,
    `${cut}`,
  );
  assert.deepEqual(await problems(`<div style="overflow: hidden">${long}</div>`), []);
});

test('what only scrolls is reported in print', async () => {
  assert.deepEqual(await replaced('.wide div { width: auto }', ''), [
    '718-print: cut off in print, where nothing scrolls: <div.wide>',
  ]);
});

test('low contrast is reported with the colours, in the scheme that has it', async () => {
  const grey = '<p style="color: #777777; background: #ffffff">faint</p>';
  assert.deepEqual(await problems(grey), inViews(ALL, "contrast of 4.48:1, #777777 on #ffffff: <p> 'faint'"));
  assert.deepEqual(await problems(grey.replace('#777777', '#767676')), []);
  const dark = "contrast of 1.20:1, #1f2328 on #0d1117: <p> 'dark'";
  assert.deepEqual(await problems('<p style="color: #1f2328">dark</p>'), inViews(['400-dark', '1600-dark'], dark));
  const [first] = await problems(`${'<p style="color: #eeeeee; background: #ffffff">faint</p>'.repeat(3)}`);
  assert.match(first ?? '', /'faint' and 2 more$/);
});

test('the contrast of every kind of text is checked', async () => {
  const kinds = {
    translucent: '<p style="color: rgb(0 0 0 / 30%); background: #fff">translucent</p>',
    faded: '<div style="background: #fff; color: #000"><p style="opacity: 0.4">faded</p></div>',
    'on a panel':
      '<div style="background: #fff"><p style="color: #fff; background: rgb(0 0 0 / 20%)">on a panel</p></div>',
    'other colour spaces': '<p style="color: oklch(0.8 0 0); background: color(srgb 1 1 1)">other colour spaces</p>',
    placeholder:
      '<style>#p { display: inline; background: #fff } #p::placeholder { color: #aaa }</style><input id="p" placeholder="placeholder">',
    value: '<input value="value" style="display: inline; color: #949494; background: #fff">',
    generated: '<style>#g { background: #fff } #g::before { content: "generated"; color: #888 }</style><p id="g"></p>',
    link: '<a href="#x" style="color: #0cc; background: #fff">link</a>',
    'on a bar':
      '<svg width="99" height="30"><rect width="99" height="30" fill="#000"/><text y="20" fill="#333">on a bar</text></svg>',
    tspan:
      '<svg width="99" height="30"><rect width="99" height="30" fill="#fff"/><text y="20"><tspan fill="#9c9c9c">tspan</tspan></text></svg>',
  };
  const found = await problems(Object.values(kinds).join(''));
  for (const kind of Object.keys(kinds)) {
    const reported = found.filter((problem) => problem.includes(kind));
    assert.equal(reported.length, ALL.length, `${kind}: ${found}`);
    assert.ok(
      reported.every((problem) => /: contrast of [1-4]\.\d\d:1, #.{6} on #.{6}: <.*> /.test(problem)),
      `${reported}`,
    );
  }
  assert.equal(found.length, Object.keys(kinds).length * ALL.length, `${found}`);
});

test('the page is white or dark without a colour of its own', async () => {
  const plain = await replaced('background: var(--page)', '');
  assert.deepEqual(plain, [], 'color-scheme makes it dark');
  const light = await replaced('color-scheme: light dark;', '');
  assert.ok(
    light.every((problem) => problem.includes('<input>')),
    `the colour of the body counts: ${light}`,
  );
  const neither = await replaced('color: var(--text); background: var(--page)', 'color: #e6edf3');
  assert.ok(
    neither.includes("1600-light: contrast of 1.18:1, #e6edf3 on #ffffff: <div> 'Scrolls inside itself' and 2 more"),
    `${neither}`,
  );
  assert.deepEqual(
    neither.filter((problem) => problem.includes('dark')),
    [],
  );
});

test('text on images and patterns is counted, not checked', async () => {
  const more = '<p style="background: linear-gradient(#ffffff, #eeeeee); color: #ffffff">x</p>';
  const file = join(folder, 'gradient.html');
  await writeFile(file, (await readFile(GOOD, 'utf8')).replace('</body>', `${more}</body>`));
  const { problems: found, unchecked } = await checkFile(browser, file);
  assert.deepEqual([found, unchecked], [[], ALL.length]);
});

test('small text is reported, also where an SVG is scaled down', async () => {
  const small = await problems('<p style="font-size: 10.5px">tiny</p>');
  assert.deepEqual(small, inViews(ALL, "text of 10.5 pixels: <p> 'tiny'"));
  assert.deepEqual(await problems('<p style="font-size: 11px">small</p>'), []);
  const svg =
    '<svg viewBox="0 0 600 40" style="width: 100%; max-width: 600px; background: #fff"><text y="20" font-size="12">x</text></svg>';
  assert.deepEqual(await problems(svg), inViews(['400-light', '400-dark'], "text of 7.7 pixels: <text> 'x'"));
});

test('workloads that are hidden, or that only a script shows, are reported', async () => {
  const hidden = await problems('<p data-workload hidden>web/old</p>');
  assert.deepEqual(hidden, inViews(ALL, '3 of 4 workloads are visible'));
  const scripted = await problems(
    '<script>document.querySelector("ul").append(document.querySelector("li").cloneNode(true))</script>',
  );
  assert.deepEqual(scripted, ['without-javascript: 3 of 4 workloads']);
});

test('a search must leave the expected number of workloads visible', async () => {
  const search = (text: string, visible: number) => checkFile(browser, GOOD, { search: { text, visible } });
  assert.deepEqual((await search('web/', 2)).problems, []);
  assert.deepEqual((await search('nothing', 0)).problems, []);
  assert.deepEqual(
    (await search('web/', 3)).problems,
    inViews(SCREENS, "'web/' leaves 2 workloads visible instead of 3"),
  );
});

test('a search that is missing or cannot be undone is reported', async () => {
  const options = { search: { text: 'web/', visible: 2 } };
  assert.deepEqual(
    await replaced('type="search"', 'type="text"', options),
    inViews(SCREENS, 'there is no input[type=search]'),
  );
  const stuck = await replaced('item.hidden =', 'item.hidden ||=', options);
  assert.deepEqual(stuck, inViews(SCREENS, "without 'web/' again, 2 workloads are visible instead of 3"));
});

test('a page that never finishes loading is reported', { timeout: 300_000 }, async () => {
  const found = await problems('<script>for (;;);</script>', { loadedWithinMs: 1000 });
  assert.equal(found.length, SCRIPTED.length, `${found}`);
  assert.ok(
    found.every((problem) => problem.includes(': not loaded: ')),
    `${found}`,
  );
});

/** Runs the command. */
async function command(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const check = fileURLToPath(new URL('../check', import.meta.url));
  try {
    const { stdout, stderr } = await promisify(execFile)(check, words);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

test('the command prints problems and writes screenshots of the width of each view', async () => {
  const screenshots = join(folder, 'screenshots');
  const good = await command(GOOD, '--screenshots', screenshots, '--search', 'cart', '--visible', '1');
  assert.deepEqual([good.code, good.out], [0, '']);
  assert.match(good.err, /good\.html: 0 problems in 6 views, with \d+ texts/);
  for (const view of SCRIPTED) {
    const png = await readFile(join(screenshots, `${view}.png`));
    assert.deepEqual([png.toString('latin1', 1, 4), png.readUInt32BE(16)], ['PNG', Number.parseInt(view, 10)]);
  }
  const bad = await command(GOOD, '--search', 'cart', '--visible', '2');
  assert.deepEqual([bad.code, bad.out.split('\n').length], [1, SCREENS.length + 1], bad.out);
});

test('the command exits with 2 where it cannot check', async () => {
  for (const words of [
    [],
    [join(folder, 'missing.html')],
    [GOOD, '--search', 'x'],
    [GOOD, '--visible', '1'],
    [GOOD, '--search', 'x', '--visible', '-1'],
    [GOOD, '--unknown'],
  ]) {
    const { code, out, err } = await command(...words);
    assert.deepEqual([code, out], [2, ''], `${words}: ${err}`);
    assert.match(err, /^check: /, `${words}`);
  }
});
