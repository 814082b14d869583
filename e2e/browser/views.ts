// Opens a file in every view, and collects what is wrong in each.

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Browser, type Page, TimeoutError } from 'puppeteer-core';
import { watch } from './browser.ts';
import { type Inspected, inspect } from './inspect.ts';

/** A text to type, and the number of workloads that it should leave visible. */
export interface Search {
  text: string;
  visible: number;
}

export interface Options {
  /** The folder of the screenshots. */
  screenshots?: string | undefined;
  search?: Search | undefined;
  /** How long a page may take to load. */
  loadedWithinMs?: number;
}

export interface Result {
  problems: string[];
  views: number;
  /** The texts that were checked in all views, and those whose background is not one colour. */
  texts: number;
  unchecked: number;
}

interface View {
  name: string;
  width: number;
  scheme: 'light' | 'dark';
  print?: true;
  withoutScripts?: true;
}

/** A4 between margins of 1 cm, in CSS pixels. */
const PAPER = 718;
const VIEWS: readonly View[] = [
  ...[400, 1600].flatMap((width) =>
    (['light', 'dark'] as const).map((scheme) => ({ name: `${width}-${scheme}`, width, scheme })),
  ),
  { name: `${PAPER}-print`, width: PAPER, scheme: 'light', print: true },
  { name: 'without-javascript', width: 1600, scheme: 'light', withoutScripts: true },
];

const HEIGHT = 900;
const LOADED_WITHIN_MS = 30_000;
const TALLEST_SCREENSHOT = 4000;
/** How long a page may still do something wrong after it has loaded. */
const SETTLE_MS = 300;
const FOUND_WITHIN_MS = 2000;

/** The views are open at the same time: most of their time is waiting. */
export async function checkFile(browser: Browser, file: string, options: Options = {}): Promise<Result> {
  if (options.screenshots) await mkdir(options.screenshots, { recursive: true });
  const checked = await Promise.all(VIEWS.map((view) => checkView(browser, file, view, options)));
  const workloads = Math.max(...checked.map(({ workloads }) => workloads));
  const result: Result = { problems: [], views: checked.length, texts: 0, unchecked: 0 };
  for (const [at, { problems, loaded, texts, unchecked, workloads: found }] of checked.entries()) {
    if (loaded && found !== workloads) problems.push(`${found} of ${workloads} workloads`);
    result.problems.push(...new Set(problems.map((problem) => `${VIEWS[at]?.name}: ${problem}`)));
    result.texts += texts;
    result.unchecked += unchecked;
  }
  return result;
}

interface Checked extends Inspected {
  loaded: boolean;
  /** On the page, visible or not. */
  workloads: number;
}

async function checkView(browser: Browser, file: string, view: View, options: Options): Promise<Checked> {
  const checked: Checked = { problems: [], loaded: false, texts: 0, unchecked: 0, workloads: 0 };
  const { problems } = checked;
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await open(page, file, view, options, problems);
    checked.loaded = true;
    const inspected = await page.evaluate(inspect, view.print === true);
    problems.push(...inspected.problems);
    Object.assign(checked, { texts: inspected.texts, unchecked: inspected.unchecked });
    const { visible, total } = await workloads(page);
    checked.workloads = total;
    if (visible < total) problems.push(`${visible} of ${total} workloads are visible`);
    const { screenshots, search } = options;
    if (screenshots && !view.withoutScripts) await screenshot(page, view, screenshots);
    if (!view.print && !view.withoutScripts) {
      problems.push(...(await opened(page)));
      const { problems: inside, texts, unchecked } = await page.evaluate(inspect, false);
      problems.push(...inside);
      Object.assign(checked, { texts, unchecked });
      problems.push(...(await filtered(page)));
      if (search) problems.push(...(await searched(page, search)));
    }
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    problems.push(`not loaded: ${error.message}`);
  } finally {
    await context.close();
  }
  return checked;
}

async function open(page: Page, file: string, view: View, options: Options, problems: string[]): Promise<void> {
  const url = pathToFileURL(resolve(file)).href;
  await watch(page, url, problems);
  await page.setViewport({ width: view.width, height: HEIGHT });
  await page.setJavaScriptEnabled(!view.withoutScripts);
  // In one call, because each overrides what another set.
  const session = await page.createCDPSession();
  await session.send('Emulation.setEmulatedMedia', {
    media: view.print ? 'print' : 'screen',
    features: [
      { name: 'prefers-color-scheme', value: view.scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ],
  });
  await page.goto(url, { timeout: options.loadedWithinMs ?? LOADED_WITHIN_MS });
  await sleep(SETTLE_MS);
}

async function screenshot(page: Page, view: View, folder: string): Promise<void> {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.screenshot({
    path: join(folder, `${view.name}.png`) as `${string}.png`,
    clip: { x: 0, y: 0, width: view.width, height: Math.min(Math.max(height, HEIGHT), TALLEST_SCREENSHOT) },
    captureBeyondViewport: true,
  });
}

/** Opens all details of workloads with the button of the page, and then those that it does not open. */
async function opened(page: Page): Promise<string[]> {
  const workloads = 'details[data-workload], [data-workload] details';
  if (!(await page.$(workloads))) return [];
  const button = await page.$('button#open');
  if (!button) return ['there is no button#open'];
  await button.click();
  await sleep(SETTLE_MS);
  const closed = await page.evaluate((selector) => {
    const found = [...document.querySelectorAll<HTMLDetailsElement>(selector)].filter(({ open }) => !open).length;
    for (const details of document.querySelectorAll('details')) details.open = true;
    return found;
  }, workloads);
  return closed > 0 ? [`button#open leaves ${closed} details closed`] : [];
}

/** Selects the first namespace: only its workloads may be visible, and all of them again without it. */
async function filtered(page: Page): Promise<string[]> {
  const filter = await page.evaluate(() => {
    const options = [...document.querySelectorAll<HTMLOptionElement>('select#namespace option')];
    const namespace = options.map(({ value }) => value).find((value) => value !== '');
    const own = [...document.querySelectorAll<HTMLElement>('[data-workload]')].filter(
      ({ dataset }) => dataset['namespace'] === namespace,
    );
    return namespace === undefined ? undefined : { namespace, own: own.length };
  });
  if (!filter) return [];
  const problems: string[] = [];
  const { namespace, own } = filter;
  const all = (await workloads(page)).visible;
  await page.select('select#namespace', namespace);
  const found = await settled(page, own);
  if (found !== own) problems.push(`the namespace ${namespace} leaves ${found} workloads visible instead of ${own}`);
  const others = await page.evaluate(
    (own) =>
      [...document.querySelectorAll<HTMLElement>('[data-workload]')].filter(
        (element) => element.checkVisibility() && element.dataset['namespace'] !== own,
      ).length,
    namespace,
  );
  if (others > 0) problems.push(`the namespace ${namespace} leaves ${others} workloads of others visible`);
  await page.select('select#namespace', '');
  const again = await settled(page, all);
  if (again !== all) problems.push(`without a namespace again, ${again} workloads are visible instead of ${all}`);
  return problems;
}

async function searched(page: Page, { text, visible }: Search): Promise<string[]> {
  const problems: string[] = [];
  const input = await page.$('input[type=search]');
  if (!input) return ['there is no input[type=search]'];
  const all = (await workloads(page)).visible;
  await input.type(text);
  const found = await settled(page, visible);
  if (found !== visible) problems.push(`'${text}' leaves ${found} workloads visible instead of ${visible}`);
  await input.click({ count: 3 });
  await page.keyboard.press('Backspace');
  const again = await settled(page, all);
  if (again !== all) problems.push(`without '${text}' again, ${again} workloads are visible instead of ${all}`);
  return problems;
}

/** The number of visible workloads: the expected one when it stays for a while, or any after the time for a search. */
async function settled(page: Page, expected: number): Promise<number> {
  const until = Date.now() + FOUND_WITHIN_MS;
  let since = Date.now();
  for (;;) {
    const { visible } = await workloads(page);
    const now = Date.now();
    if (visible !== expected) since = now;
    if (now > until || now - since >= SETTLE_MS) return visible;
    await sleep(50);
  }
}

function workloads(page: Page): Promise<{ visible: number; total: number }> {
  return page.evaluate(() => {
    const all = [...document.querySelectorAll('[data-workload]')];
    const visible = all.filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && width > 0 && height > 0;
    });
    return { visible: visible.length, total: all.length };
  });
}
