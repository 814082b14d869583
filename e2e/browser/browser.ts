// Headless Chromium, and what one of its pages does.

import puppeteer, { type Browser, type Page } from 'puppeteer-core';

/** Starts the Chromium at this path. */
export function start(chromium: string): Promise<Browser> {
  return puppeteer.launch({
    executablePath: chromium,
    pipe: true,
    protocolTimeout: 60_000,
    // Neither root nor a Chromium that is not installed has a sandbox. It opens only files of this repository's programs, and all
    // requests are blocked. Containers often have a small /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--hide-scrollbars', '--force-color-profile=srgb'],
  });
}

/** Adds what the page should not do to `problems`, and blocks all requests but the one for `url` and data. */
export async function watch(page: Page, url: string, problems: string[]): Promise<void> {
  page.on('console', (message) => {
    const type = message.type();
    if (type === 'error' || type === 'warn') {
      problems.push(`console ${type === 'warn' ? 'warning' : type}: ${oneLine(message.text())}`);
    }
  });
  page.on('pageerror', (error) =>
    problems.push(`exception: ${oneLine(error instanceof Error ? error.message : String(error))}`),
  );
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${oneLine(dialog.message())}`);
    dialog.dismiss().catch(ignore);
  });
  page.on('request', (request) => {
    const requested = request.url();
    if (requested.startsWith('data:')) return;
    if (requested.split('#')[0] === url && request.isNavigationRequest()) {
      request.continue().catch(ignore);
      return;
    }
    problems.push(`request: ${oneLine(requested)}`);
    request.abort().catch(ignore);
  });
  await page.setRequestInterception(true);
  const session = await page.createCDPSession();
  session.on('Network.webSocketCreated', (socket) => problems.push(`request: ${oneLine(socket.url)}`));
  await session.send('Network.enable');
}

/** The page may be closed already. */
function ignore(): void {}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
